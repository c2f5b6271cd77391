"""``edgegenre library tag`` and ``undo``: genre tags in the files themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre_runtime.printable import printable

from ..common import DatabaseOption

if TYPE_CHECKING:
    from edgegenre_runtime.library.tags.tagging import Tagged

__all__ = ["tag", "undo"]

_Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH...]", help="Files and folders; the whole library if none is given."),
]
_KeepTime = Annotated[bool, typer.Option("--keep-mtime", help="Files keep their modification time.")]


def tag(
    db: DatabaseOption,
    paths: _Paths = None,
    write: Annotated[bool, typer.Option("--write", help="Change the files; else say what would be.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be, as without --write.")] = False,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="Leave files alone that have a genre already.")
    ] = False,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", metavar="P", help="Least probability of a genre.", min=0, max=1)
    ] = 0.0,
    word_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Your words for the classes, .toml or .csv.")
    ] = None,
    keep_mtime: _KeepTime = False,
) -> None:
    """Write the genre into the tags of the files; without --write, only say what would be written.

    Example: `edgegenre library tag --db library.sqlite --only-missing --min-confidence 0.6 --write`
    """
    from edgegenre_runtime.errors import UsageError
    from edgegenre_runtime.library.database import lock_for_writing
    from edgegenre_runtime.library.store import Library
    from edgegenre_runtime.library.tags.genre_words import read_word_map
    from edgegenre_runtime.library.tags.tag_formats import require_tags
    from edgegenre_runtime.library.tags.tagging import TagOptions, tag_library

    if write and dry_run:
        raise UsageError("--write changes the files, --dry-run does not: choose one")
    require_tags()
    with Library.open(db) as library, lock_for_writing(db) if write else contextlib.nullcontext():
        words = {} if word_map is None else read_word_map(word_map, library.bundle().task.names)
        options = TagOptions(write, only_missing, min_confidence, words, keep_mtime, tuple(paths or ()))
        n_done, n_failed = _print_all(tag_library(library, options))
    done = "tagged" if write else "would be tagged; --write does it"
    typer.echo(f"{db}: {n_done} files {done}" + (f", {n_failed} left alone" if n_failed else ""))


def undo(db: DatabaseOption, paths: _Paths = None, keep_mtime: _KeepTime = False) -> None:
    """Give files the genre tags back that they had before `library tag --write`.

    Example: `edgegenre library undo Music/Jazz --db library.sqlite`
    """
    from edgegenre_runtime.library.database import lock_for_writing
    from edgegenre_runtime.library.store import Library
    from edgegenre_runtime.library.tags.tag_formats import require_tags
    from edgegenre_runtime.library.tags.tagging import undo_tags

    require_tags()
    with Library.open(db) as library, lock_for_writing(db):
        n_done, n_failed = _print_all(undo_tags(library, tuple(paths or ()), keep_mtime=keep_mtime))
    typer.echo(f"{db}: {n_done} files as they were" + (f", {n_failed} left alone" if n_failed else ""))


def _print_all(files: Iterable[Tagged]) -> tuple[int, int]:
    """Print a line for every file; returns how many were done, and how many could not be."""
    n_done = n_failed = 0
    for found in files:
        if found.error is not None:
            n_failed += 1
            typer.echo(printable(found.error), err=True)
            continue
        n_done += 1
        before, after = (", ".join(genre) or "none" for genre in (found.before, found.after))
        typer.echo(printable(f"{found.path}: {before} -> {after}"))
    return n_done, n_failed
