"""``edgegenre verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["verify"]


def verify(
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle folder, .zip or name; default: the shipped one.")
    ] = None,
    trust: Annotated[
        list[Path] | None, typer.Option(help="Public key that must have signed the bundle; repeatable.")
    ] = None,
) -> None:
    """Check that a bundle gives the same results on this machine as where it was exported; needs only the base install.

    Hashes, the front-end bit for bit by every implementation that is here, every network within one step and with the
    same answer. Exit code 0: as exported, 1: something differs, 2: not usable.

    Example: `edgegenre verify mine.bundle`
    """
    from edgegenre_runtime.network.bundle_names import find_bundle
    from edgegenre_runtime.network.verify import format_checks
    from edgegenre_runtime.network.verify import verify as run
    from edgegenre_runtime.signature import read_public_keys

    checks = list(run(find_bundle(bundle), read_public_keys(trust or ())))
    typer.echo(format_checks(checks))
    if not all(check.is_ok for check in checks):
        raise typer.Exit(1)
