"""``edgegenre bench library``: what scanning a music library costs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import needs, progress_bar
from edgegenre_runtime.errors import UsageError

__all__ = ["library"]


def library(
    tracks: Annotated[list[Path] | None, typer.Argument(help="Tracks to time; toy music if none is given.")] = None,
    windows: Annotated[int, typer.Option(help="Windows of a track.", min=1)] = 10,
    seconds: Annotated[float, typer.Option(help="Length of the toy music.", min=60, max=600)] = 240.0,
    repeats: Annotated[int, typer.Option(help="Runs of each pipeline, of which the fastest counts.", min=1)] = 3,
    files: Annotated[list[int] | None, typer.Option(help="Scan so many short copies too; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(help="Processes of these scans.", min=1)] = 1,
    search: Annotated[
        list[int] | None,
        typer.Option(
            help="Only search among so many random embeddings (1500 bytes each on disk); may be repeated.", min=100
        ),
    ] = None,
) -> None:
    """Time the scan of a track beside bare decoding and librosa with LiteRT, and of a library as it grows.

    Example: `OMP_NUM_THREADS=1 edgegenre bench library --files 100 --files 1000`
    """
    from edgegenre_runtime.audio.files import audio_files

    if search:
        if tracks or files:
            raise UsageError("--search scans nothing: leave out the tracks and --files")
        _search(sorted(search))
        return
    given = audio_files(tracks) if tracks else []
    with needs("all"):
        from edgegenre_bench.measure.library.scan import (
            format_growth,
            format_rates,
            measure_growth,
            time_tracks,
            write_tracks,
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with progress_bar("tracks") as show:
            rates = time_tracks(given or write_tracks(folder, seconds), windows, repeats, show)
        typer.echo(format_rates(rates))
        grown = []
        with progress_bar("libraries") as show:
            for n_files in sorted(files or []):
                grown.append(measure_growth(folder, n_files, workers))
                show(len(grown), len(files or []))
        if grown:
            typer.echo(f"\n{workers} processes, files of 3.2 s:\n\n{format_growth(grown)}")


def _search(sizes: list[int]) -> None:
    from edgegenre_bench.measure.library.search import format_searches, measure_search

    found = []
    for n_tracks in sizes:
        with tempfile.TemporaryDirectory() as name, progress_bar(f"{n_tracks} tracks") as show:
            found.append(measure_search(Path(name), n_tracks, show))
    typer.echo(format_searches(found))
