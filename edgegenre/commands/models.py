"""``edgegenre models``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .common import Spec, needs

__all__ = ["models"]


def models(
    names: Annotated[list[str] | None, typer.Argument(help="Networks; default: all.")] = None,
    spec: Spec = "wide9s",
    classes: Annotated[int, typer.Option(help="Number of genres.", min=2)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print cost and reach of each network: parameters, multiply-adds per window, receptive field.

    Example: `edgegenre models compact mn04 --spec seed3s`
    """
    from edgegenre.models import MODELS, ModelConfig, build, check_name
    from edgegenre_runtime.frontend import released

    chosen, shape = [check_name(name) for name in names or MODELS], released(spec).spec
    with needs("train"):
        from edgegenre.evaluate.complexity import format_complexity, measure

        rows = [measure(name, build(ModelConfig(name, classes)), shape) for name in chosen]
    typer.echo(json.dumps([row.to_dict() for row in rows]) if as_json else format_complexity(rows, shape))
