"""What the commands share: missing extras, progress bars, opening data."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre.recorded_path import recorded_paths
from edgegenre_runtime.errors import DataError, MissingExtraError, UsageError
from edgegenre_runtime.printable import printable

if TYPE_CHECKING:
    from edgegenre.data.builders.build_cache import Expansion
    from edgegenre.data.feature_cache import FeatureCache
    from edgegenre_runtime.frontend import Tables
    from edgegenre_runtime.workers import Workers

__all__ = [
    "DatabaseOption",
    "Levels",
    "SchedulerOption",
    "Seed",
    "Spec",
    "WorkersOption",
    "check_output",
    "check_run_folder",
    "check_suffix",
    "chosen_workers",
    "command_line",
    "features_of",
    "make_folder",
    "model_path",
    "needs",
    "progress_bar",
    "require_installed",
    "write_features",
]


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn the import error of a missing dependency into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        if name.startswith("edgegenre"):
            raise
        raise MissingExtraError(name, extra) from error


def require_installed(extra: str, *modules: str) -> None:
    """Refuse a command whose extra is not installed, without importing it, which can take seconds.

    Raises
    ------
    MissingExtraError
        The first of ``modules`` that is not there.
    """
    for name in modules:
        if sys.modules.get(name, sys) is None or (name not in sys.modules and find_spec(name) is None):
            raise MissingExtraError(name, extra)


def check_suffix(path: Path, suffix: str) -> None:
    """Refuse a file to write whose name does not end in what other commands know it by; :class:`UsageError`."""
    if path.suffix != suffix:
        raise UsageError(f"{path}: the file to write must end in {suffix}")


def check_output(path: Path) -> None:
    """Refuse a file to write: a folder, or in one that is not there or not writable; raises :class:`DataError`."""
    if not os.path.isdir(path.parent):
        raise DataError(f"{path}: cannot write, there is no folder {path.parent}")
    if os.path.isdir(path):
        raise DataError(f"{path}: cannot write, it is a folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DataError(f"{path}: cannot write, the folder {path.parent} is not writable")


def check_run_folder(run: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse the folder of a training run that holds another run.

    Raises
    ------
    UsageError
        A run is there, and neither ``resume`` nor ``overwrite`` is given; or both are.
    """
    if resume and overwrite:
        raise UsageError("--resume continues the run in --out, --overwrite replaces it: choose one")
    # A process that the first one started for parallel training meets that one's folder.
    is_there = os.path.exists(run / "best.safetensors") and "LOCAL_RANK" not in os.environ
    if is_there and not resume and not overwrite:
        raise UsageError(
            f"{run}: holds a run already; name another folder with --out, continue it with --resume, or replace it "
            "with --overwrite"
        )


def make_folder(path: Path) -> None:
    """Make a folder and its parents if they are not there; raises :class:`DataError` if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot make the folder ({(error.strerror or str(error)).lower()})") from error


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that draws a bar on a terminal's standard error."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with typer.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


Spec = Annotated[str, typer.Option("--spec", help="Front-end preset: seed3s (3.0 s windows) or wide9s (8.9 s).")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
DatabaseOption = Annotated[Path, typer.Option("--db", metavar="FILE", help="The library's database (SQLite).")]
Levels = Annotated[
    int, typer.Option("--levels", help="Levels of folders that are classes: 2 for rock/punk/a.wav.", min=1)
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes of this machine (docs/scale.md).")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="URL", help="Dask scheduler whose workers do it, as tcp://10.0.0.1:8786."),
]


@contextlib.contextmanager
def chosen_workers(workers: int | None, scheduler: str | None) -> Iterator[Workers | None]:
    """Open what ``--workers`` or ``--scheduler`` names; None where neither is given."""
    from edgegenre_runtime.workers import open_workers

    if workers is None and scheduler is None:
        yield None
        return
    with open_workers(workers, scheduler) as opened:
        yield opened


def model_path(model: Path) -> Path:
    """Return a checkpoint's or bundle's path as it is given; that of an installed bundle for its name."""
    from edgegenre_runtime.network.bundle_names import installed_bundles

    return model if os.path.exists(model) else installed_bundles().get(str(model), model)


def command_line() -> str:
    """Return the command line for records: as typed, without the folders of this machine."""
    return str(recorded_paths(" ".join(["edgegenre", *sys.argv[1:]])))


def features_of(
    data: Path, tables: Tables, out: Path, *, seed: int, split: Path | None, strict: bool, levels: int = 1
) -> FeatureCache:
    """Return the features of a cache file, or of a folder or manifest after writing them to ``out``."""
    from edgegenre.data.feature_cache import load_cache

    if data.suffix == ".npz":
        return load_cache(data, tables)
    write_features(data, tables, out, seed=seed, split=split, strict=strict, levels=levels)
    return load_cache(out, tables)


def write_features(
    data: Path,
    tables: Tables,
    out: Path,
    *,
    seed: int,
    split: Path | None,
    strict: bool,
    levels: int = 1,
    expansion: Expansion | None = None,
    workers: Workers | None = None,
) -> None:
    """Read a folder or manifest of audio into a feature cache with its split beside it; say what happened."""
    from edgegenre.data.builders.build_cache import build_cache, format_counts
    from edgegenre.data.sources import open_dataset
    from edgegenre.data.split import load_split, save_split
    from edgegenre_runtime.system.standard_streams import native_messages_dropped

    check_suffix(out, ".npz")
    dataset = open_dataset(data, levels)
    given = load_split(split) if split is not None else None
    make_folder(out.parent)
    with native_messages_dropped(), progress_bar("log-mels") as show:
        report = build_cache(
            dataset,
            tables,
            out,
            split=given,
            seed=seed,
            strict=strict,
            workers=workers,
            expansion=expansion,
            progress=show,
        )
    split_file, parts = out.with_suffix(".split.json"), report.split
    save_split(parts, split_file)
    for _, reason in report.broken:
        typer.echo(f"skipped  {printable(reason)}", err=True)
    for note in report.notes:
        typer.echo(f"note     {printable(note)}", err=True)
    skipped = f", {len(report.broken)} skipped" if report.broken else ""
    n_tracks = len(dataset.tracks) - len(report.broken)
    kind = {"single": "classes", "multi": "classes, several a track", "hierarchy": "label paths"}[dataset.task]
    typer.echo(f"{out}: {n_tracks} tracks{skipped}, {len(dataset.labels)} {kind}, {tables.spec.name}")
    typer.echo(format_counts(report.cache))
    typer.echo(
        f"{split_file}: train {len(parts.train)}, valid {len(parts.valid)}, test {len(parts.test)} (seed {parts.seed})"
    )
