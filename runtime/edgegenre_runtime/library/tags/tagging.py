"""Genre tags into files: what would be written, writing it, and taking it back."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgegenre_runtime.errors import DataError

from ..analyze import fingerprint
from ..records import TagChange, Track
from ..store import Library, path_bytes
from .edited_copy import check_replaceable, edited_copy
from .genre_words import WordMap, genre_words
from .tag_formats import GenreTag, is_same_genre, read_genre, require_tags, write_genre

__all__ = ["TagOptions", "Tagged", "tag_library", "undo_tags"]


@dataclasses.dataclass(frozen=True, slots=True)
class TagOptions:
    """Which files get a tag, and which.

    Attributes
    ----------
    is_written
        Whether files are changed; else it is only said what would be.
    only_missing
        Leave files alone that have a genre.
    min_confidence
        The least probability of a genre that is written.
    words
        What the user calls the classes.
    keep_mtime
        Whether files keep their modification time.
    roots
        Files and folders; none for the whole library.
    """

    is_written: bool = False
    only_missing: bool = False
    min_confidence: float = 0.0
    words: WordMap = dataclasses.field(default_factory=dict)
    keep_mtime: bool = False
    roots: Sequence[Path | str] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Tagged:
    """What became of a file.

    Attributes
    ----------
    path
        The file.
    before, after
        Its genre tag.
    error
        Why nothing was changed; None where it was, or would be.
    """

    path: Path
    before: GenreTag = ()
    after: GenreTag = ()
    error: str | None = None


def tag_library(library: Library, options: TagOptions) -> Iterator[Tagged]:
    """Yield every file whose genre tag is another than its answer, written or not; an error stops no other file.

    Raises
    ------
    MissingExtraError
        If mutagen is not installed.
    DataError
        If the database cannot be used, or one of the roots is nothing that it knows.
    """
    require_tags()
    _check_roots(library, options.roots)
    last = 0
    while True:  # by row: a written file changes its row
        track = next(library.tracks("id > ? AND error IS NULL AND NOT is_gone", [last], "id LIMIT 1"), None)
        if track is None:
            return
        last = track.id
        words = genre_words(track, options.words, options.min_confidence)
        if words and _is_below(track.path, options.roots):
            found = _tag(library, track, words, options)
            if found is not None:
                yield found


def _check_roots(library: Library, roots: Sequence[Path | str]) -> None:
    for root in roots:
        if not library.has_below(path_bytes(root)):
            raise DataError(f"{library.path}: has no track {root}, and none below a folder of that name")


def _is_below(path: Path, roots: Sequence[Path | str]) -> bool:
    name = path_bytes(path)
    return not roots or any(
        name == root or name.startswith(root.rstrip(b"/") + b"/") for root in map(path_bytes, roots)
    )


def _tag(library: Library, track: Track, words: GenreTag, options: TagOptions) -> Tagged | None:
    try:
        status = os.stat(track.path)
        if (status.st_size, status.st_mtime_ns) != (track.analysis.size, track.analysis.mtime_ns):
            raise DataError(f"{track.path}: has changed since the scan: scan again")
        before = read_genre(str(track.path))
        if is_same_genre(before, words) or (options.only_missing and any(value.strip() for value in before)):
            return None
        if options.is_written:
            _write(library, track, before, words, keep_mtime=options.keep_mtime)
        else:
            check_replaceable(track.path)
        return Tagged(track.path, before, words)
    except OSError as error:
        return Tagged(track.path, error=f"{track.path}: {(error.strerror or str(error)).lower()}")
    except DataError as error:
        _raise_of_database(error, library)
        return Tagged(track.path, error=str(error))


def _write(library: Library, track: Track, before: GenreTag, after: GenreTag, *, keep_mtime: bool) -> None:
    """Write a tag; what the file had is in the database before the file is touched."""
    change = library.begin_change(track.id, before, after)
    library.commit()
    done = False
    try:
        with edited_copy(track.path, keep_mtime=keep_mtime) as copy:
            write_genre(str(copy), str(track.path), after)
        done = True
    finally:
        if not done:
            library.drop_change(change)
            library.commit()
    _know_again(library, track.path)
    library.commit()


def undo_tags(library: Library, roots: Sequence[Path | str] = (), *, keep_mtime: bool = False) -> Iterator[Tagged]:
    """Give files the genre tag back that they had before the first change that was not undone; yields each.

    A file whose tag somebody else has changed since is left alone.

    Raises
    ------
    DataError
        As :func:`tag_library`.
    """
    require_tags()
    _check_roots(library, roots)
    for change in library.changes():
        if _is_below(change.path, roots):
            yield _undo(library, change, keep_mtime=keep_mtime)


def _undo(library: Library, change: TagChange, *, keep_mtime: bool) -> Tagged:
    name = str(change.path)
    try:
        if not os.path.exists(name):
            raise DataError(f"{name}: is not there; if it was moved, scan its new folder first")
        now = read_genre(name)
        if not is_same_genre(now, change.before):
            if not is_same_genre(now, change.after):
                raise DataError(f"{name}: its genre was changed since, to {', '.join(now) or 'none'}: left alone")
            with edited_copy(change.path, keep_mtime=keep_mtime) as copy:
                write_genre(str(copy), name, change.before)
            _know_again(library, change.path)
        library.end_changes(change.track)
        library.commit()
        return Tagged(change.path, change.after, change.before)
    except OSError as error:
        return Tagged(change.path, error=f"{name}: {(error.strerror or str(error)).lower()}")
    except DataError as error:
        _raise_of_database(error, library)
        return Tagged(change.path, error=str(error))


def _raise_of_database(error: DataError, library: Library) -> None:
    """Raise an error again that is the database's and not the file's: the next file would not fare better."""
    if str(error).startswith(f"{library.path}:"):
        raise error


def _know_again(library: Library, path: Path) -> None:
    """Store size, time and hash of a file that was changed here, so that it needs no new scan."""
    with contextlib.suppress(OSError):
        found = fingerprint(path_bytes(path))
        if found is not None:
            library.update_file(path_bytes(path), found)
