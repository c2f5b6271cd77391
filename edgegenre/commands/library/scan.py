"""``edgegenre library scan`` and ``edgegenre library errors``."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre_runtime.printable import printable

from ..common import DatabaseOption, SchedulerOption

if TYPE_CHECKING:
    from edgegenre_runtime.library.progress import Progress
    from edgegenre_runtime.library.scan import ScanReport
    from edgegenre_runtime.library.store import Library

__all__ = ["errors", "scan"]

_WINDOWS = 10  # docs/library.md: what more of them bring
_SHOWN = 20
_TERMINAL_S, _LOG_S = 0.5, 60.0


def errors(
    db: DatabaseOption,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="Also files that have an answer, though something is wrong with them.")
    ] = False,
) -> None:
    """List the files that could not be read, one a line, each with the reason.

    Example: `edgegenre library errors --db library.sqlite`
    """
    from edgegenre_runtime.library.store import Library

    with Library.open(db) as library:
        listed = "(error IS NOT NULL OR warnings IS NOT NULL)" if warnings else "error IS NOT NULL"
        for track in library.tracks(f"{listed} AND NOT is_gone"):
            reason = track.analysis.error or f"{track.analysis.label}, but {'; '.join(track.analysis.warnings)}"
            typer.echo(printable(f"{track.path}: {reason}"))


def scan(
    music: Annotated[list[Path], typer.Argument(metavar="MUSIC...", help="Folders and files.")],
    db: DatabaseOption,
    bundle: Annotated[str, typer.Option(help="Bundle: folder, .zip or name.")] = "default",
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes; one per processor if not given.")
    ] = None,
    windows: Annotated[
        int, typer.Option("--windows", metavar="K", help="Windows of a track, spread over it.", min=1)
    ] = _WINDOWS,
    is_all: Annotated[bool, typer.Option("--all", help="Every window of every track, instead of K.")] = False,
    scheduler: SchedulerOption = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that could not be read before.")] = False,
) -> None:
    """Classify every file that is new or has changed, and keep the answers in a database.

    Stop it at any moment, and run it again to go on.

    Example: `edgegenre library scan Music --db library.sqlite`
    """
    from edgegenre_runtime.library.database import lock_for_writing
    from edgegenre_runtime.library.scan import ScanOptions, scan
    from edgegenre_runtime.library.store import Library
    from edgegenre_runtime.library.walk import check_roots
    from edgegenre_runtime.network.bundle_names import find_bundle
    from edgegenre_runtime.workers import open_workers
    from edgegenre_runtime.workers.processes import default_workers

    check_roots(music)
    if workers is None and scheduler is None:
        workers = default_workers()
    options = ScanOptions(music, find_bundle(bundle), 0 if is_all else windows, retry)
    with open_workers(workers, scheduler) as opened, Library.open(db, create=True) as library, lock_for_writing(db):
        began, printer = time.monotonic(), _Printer()
        try:
            report = scan(library, options, opened, printer, printer.found)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                kept = library.count("error IS NULL")
                typer.echo(f"{db}: {kept} tracks are kept; run the same command to go on", err=True)
            raise
        printer.end()
        _print_report(library, report, time.monotonic() - began)


class _Printer:
    """Progress on standard error: a line that is renewed on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next_at = time.monotonic() + (0 if self._is_terminal else _LOG_S)
        self._is_line_open = False

    def __call__(self, progress: Progress) -> None:
        """Say how far the work is."""
        if time.monotonic() >= self._next_at or (self._is_terminal and progress.n_done == progress.n_total):
            self._print(str(progress))

    def found(self, n_files: int) -> None:
        """Say how many files were found so far."""
        if time.monotonic() >= self._next_at:
            self._print(f"{n_files} files found")

    def end(self) -> None:
        """Leave the line that was renewed."""
        if self._is_line_open:
            typer.echo(err=True)

    def _print(self, said: str) -> None:
        self._next_at = time.monotonic() + (_TERMINAL_S if self._is_terminal else _LOG_S)
        self._is_line_open = self._is_terminal
        typer.echo(f"\r{said}\033[K" if self._is_terminal else said, nl=not self._is_terminal, err=True)


def _print_report(library: Library, report: ScanReport, seconds: float) -> None:
    for sentence in report.closed_folders:
        typer.echo(printable(sentence), err=True)
    n_failed = report.failed + report.failed_before
    for track, _ in zip(library.tracks("error IS NOT NULL AND NOT is_gone"), range(_SHOWN), strict=False):
        typer.echo(printable(f"unreadable: {track.path}: {track.analysis.error}"), err=True)
    if n_failed > _SHOWN:
        typer.echo(
            f"and {n_failed - _SHOWN} more:  edgegenre library errors --db {shlex.quote(str(library.path))}", err=True
        )
    counts = {
        "classified": report.classified,
        "moved": report.moved,
        "copies": report.copied,
        "unchanged": report.unchanged - report.failed_before,
        "unreadable": n_failed,
        "gone": report.gone,
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no audio files"
    typer.echo(f"{library.path}: {said}; {library.count()} tracks in the library, {seconds:.0f} s")
