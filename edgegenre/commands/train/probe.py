"""``edgegenre probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError

from ..common import check_output, check_suffix, needs, progress_bar, require_installed
from .soft_labels import network_and_weights

__all__ = ["probe"]


def probe(
    data: Annotated[Path, typer.Argument(help="Feature cache (.npz).")],
    network: Annotated[list[str], typer.Option(help="MODEL=WEIGHTS of a frozen network; repeat.")],
    features: Annotated[Path, typer.Option(help="File (.npz) that keeps the networks' features for the next time.")],
    equalized: Annotated[
        list[str] | None, typer.Option(help="MODEL=WEIGHTS that hears the tracks half-way equalized; repeat.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="filtered, random (70/15/15) or kfold10.")] = "random",
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the splits; repeat. Default: 0.", min=0)] = None,
    grouped: Annotated[bool, typer.Option("--grouped", help="Keep artists and replicas together.")] = False,
    spec: Annotated[str, typer.Option(help="Front-end of the cache.")] = "seed3s",
    inverse_penalty: Annotated[float, typer.Option(help="Inverse strength of the penalty (scikit-learn's C).")] = 0.01,
) -> None:
    """Measure frozen networks under a protocol: one regression on their joined features for every split.

    The features take minutes, once; a split then takes seconds. Example: `edgegenre probe gtzan_seed3s.npz --network
    artist=artist.npz --network mn04=mn04.pt --features features.npz --protocol kfold10 --grouped`
    """
    require_installed("train", "torch", "sklearn", "safetensors")
    if not 0 < inverse_penalty < float("inf"):
        raise UsageError(f"the inverse penalty must be above 0, not {inverse_penalty:g}; 0.01 is a strong penalty")
    check_suffix(features, ".npz")
    check_output(features)
    given = [(*network_and_weights(text), 0.0) for text in network]
    given += [(*network_and_weights(text), 0.5) for text in equalized or ()]
    from edgegenre.data.feature_cache import load_cache
    from edgegenre.gtzan.protocols import assign_protocol
    from edgegenre_runtime.frontend import released

    tables = released(spec)
    cache = load_cache(data, tables)
    assign_protocol(cache, protocol, is_grouped=grouped)  # wrong words are refused before minutes of work
    with needs("train"):
        from edgegenre.train.frozen.feature_file import kept_features
        from edgegenre.train.frozen.protocol_probe import joined_features
        from edgegenre.train.frozen.protocol_probe import probe as run

        with progress_bar("features") as show:
            found = kept_features(features, cache, given, lambda: joined_features(cache, tables, given, show))
        result = run(found, cache, protocol, seed or [0], inverse_penalty, is_grouped=grouped)
    typer.echo(f"{protocol}{' grouped' if grouped else ''}: {result.describe()}")
