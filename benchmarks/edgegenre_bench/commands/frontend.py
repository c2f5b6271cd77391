"""``edgegenre bench frontend | matrix | instructions``: the front-end alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import needs, progress_bar

from .options import show_progress

__all__ = ["frontend", "instructions", "matrix"]

_Clips = Annotated[list[Path], typer.Argument(help="Audio files or folders.")]


def frontend(
    clips: _Clips,
    spec: Annotated[str, typer.Option(help="Front-end preset: seed3s or wide9s.")] = "seed3s",
) -> None:
    """Compare the front-end with librosa in float64: cell by cell, and in time, interleaved in one process.

    Example: `OMP_NUM_THREADS=1 edgegenre bench frontend gtzan/clips`
    """
    from edgegenre_runtime.audio.files import audio_files
    from edgegenre_runtime.frontend import released

    tables, files = released(spec), audio_files(clips)
    with needs("bench"):
        from edgegenre_bench.measure.peers.librosa_comparison import cell_differences, format_frontend, time_all
    rows = []
    with progress_bar("clips") as show:
        for file in files:
            rows.append(cell_differences(file, tables))
            show(len(rows), len(files))
    typer.echo(format_frontend(rows, time_all(tables)))


def matrix(
    clips: Annotated[list[Path] | None, typer.Argument(help="Audio files or folders; toy music by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Seconds of it that are used.", min=0.1)] = 3.0,
) -> None:
    """Build the C front-end for every available processor, run it (emulated where needed) and compare the bits.

    Example: `edgegenre bench matrix`
    """
    from edgegenre_runtime.audio.files import audio_files

    with needs("bench"):
        from edgegenre_bench.emulate.build_matrix import format_matrix, has_failed, music_of, run_matrix
    rows = run_matrix(music_of(audio_files(clips or []), seconds))
    typer.echo(format_matrix(rows))
    if has_failed(rows):
        raise typer.Exit(1)


def instructions(
    cpu: Annotated[
        list[str] | None, typer.Option(help="Emulated processor, may be repeated: cortex-a53, cortex-a72, cortex-a76.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of the emulated arm64 userland.", envvar="EDGEGENRE_EMULATE_CACHE"),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Runs of each, every one a separate process.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Count the instructions of the front-end on emulated 64-bit Raspberry Pis: C, NumPy and scipy float32.

    They are instructions on an emulated CPU, never times. The first run fetches an arm64 userland (about 350 MB).

    Example: `edgegenre bench instructions --cpu cortex-a72`
    """
    with needs("bench"):
        from edgegenre_bench.emulate.frontend_instructions import count_all, format_instructions, to_json
        from edgegenre_bench.emulate.qemu import CPUS
    rows = count_all(cpu or list(CPUS), cache, repeats, show_progress)
    typer.echo(to_json(rows) if as_json else format_instructions(rows))
