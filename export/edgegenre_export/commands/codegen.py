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
    bundle: Annotated[str, typer.Argument(help="Bundle: folder, .zip or name; `default` is the shipped one.")],
    out: _Out,
    board: Annotated[
        str | None, typer.Option("--board", metavar="NAME", help="cortex-m4, cortex-m7 or cortex-m55: firmware for it.")
    ] = None,
) -> None:
    """Write the C folder of a bundle: front-end and engine sources, tables, the network, programs that use them.

    In it `cc -O3 genre.c edgegenre_*.c -o genre` builds a program that names the genres of a WAV file.

    With `--board` the folder builds to firmware that runs the whole chain on golden PCM: `make run` in it.

    Example: `edgegenre codegen c mine.bundle --board cortex-m4 --out firmware`
    """
    from edgegenre_export.package.board import board_files, find_board, program_files
    from edgegenre_export.package.c_sources import write_folder
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.bundle_names import find_bundle

    chosen = None if board is None else find_board(board)
    found = read_bundle(find_bundle(bundle))
    files = program_files(found) if chosen is None else board_files(found, chosen)
    _report(write_folder(out, files), out)


@app.command()
def network(
    model: Annotated[Path, typer.Argument(help="int8 .tflite of one input and one output.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="net.eg to write.")],
) -> None:
    """Compile an int8 .tflite for the engine; an operator that it does not take is named.

    Example: `edgegenre codegen network model_int8.tflite --out net.eg`
    """
    from edgegenre_runtime.atomic_write import written_beside
    from edgegenre_runtime.errors import DataError
    from edgegenre_runtime.network.compiler import compile_network, read_header

    try:
        content = model.read_bytes()
    except OSError as error:
        raise DataError(f"{model}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    blob = compile_network(content)
    with written_beside(out) as handle:
        handle.write(blob)
    typer.echo(f"{out}: {len(blob)} bytes, arena {read_header(blob).arena_bytes} bytes")


@app.command()
def tables(out: _Out) -> None:
    """Write `tables_PRESET.h` of every released front-end, for firmware that is built from runtime/c.

    Example: `edgegenre codegen tables --out build/tables`
    """
    from edgegenre_export.package.c_sources import preset_headers, write_folder

    _report(write_folder(out, preset_headers()), out)


def _report(names: list[str], out: Path) -> None:
    typer.echo(f"{out}: {', '.join(names)}")
