"""``edgegenre codegen``: C for firmware and the NDK, from any bundle, with the base install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre.typer_app import CommandApp

__all__ = ["app"]

app = CommandApp(help="Generate C sources and tables.")

_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty folder to write into.")]


@app.command("c")
def sources(
    bundle: Annotated[Path, typer.Argument(help="Bundle: folder or .zip.")],
    out: _Out,
) -> None:
    """Write the C folder of a bundle: front-end sources, its tables, an example, and the int8 network as an array.

    Example: `edgegenre codegen c mine.bundle --out firmware/edgegenre`
    """
    from edgegenre_export.package.c_sources import bundle_c_files, write_folder
    from edgegenre_runtime.network.bundle import read_bundle

    _report(write_folder(out, bundle_c_files(read_bundle(bundle))), out)


@app.command()
def tables(out: _Out) -> None:
    """Write `tables_PRESET.h` of every released front-end, for firmware that is built from runtime/c.

    Example: `edgegenre codegen tables --out build/tables`
    """
    from edgegenre_export.package.c_sources import preset_headers, write_folder

    _report(write_folder(out, preset_headers()), out)


def _report(names: list[str], out: Path) -> None:
    typer.echo(f"{out}: {', '.join(names)}")
