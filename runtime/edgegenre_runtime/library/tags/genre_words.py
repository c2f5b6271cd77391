"""Which words a track's genre tag gets: its labels, or what the user calls them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import parse_toml
from edgegenre_runtime.network.taxonomy import split_path

from ..records import Track

__all__ = ["WordMap", "genre_words", "read_word_map"]

WordMap = Mapping[str, tuple[str, ...]]
"""Genre words by class; none where a class is to write nothing."""

_LONGEST = 200


def read_word_map(path: Path, known: Sequence[str]) -> WordMap:
    """Read a file that says what the user calls the classes.

    Parameters
    ----------
    path
        ``.toml`` with ``class = "Word"`` or ``class = ["Word", "Another"]``; else CSV with a class and its words in
        each row.
    known
        The bundle's classes.

    Raises
    ------
    DataError
        The file cannot be read, is neither, or names a class that there is none of.
    """
    try:
        content = path.read_bytes()
        rows = _toml_rows(content) if path.suffix.lower() == ".toml" else _csv_rows(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    except (ValueError, csv.Error) as error:
        raise DataError(
            f'{path}: no map of genres ({error}); a line is  jazz = "Jazz"  in TOML, jazz,Jazz in CSV'
        ) from error
    for name, words in rows.items():
        if name not in known:
            raise DataError(f"{path}: the bundle has no class {name!r}; it has: {', '.join(known)}")
        if not all(word.isprintable() and len(word) <= _LONGEST for word in words):
            raise DataError(f"{path}: a word for {name} is not printable, or longer than {_LONGEST} characters")
    return rows


def _toml_rows(content: bytes) -> dict[str, tuple[str, ...]]:
    def words_of(name: str, value: Any) -> tuple[str, ...]:
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{name} is neither a word nor a list of words")
        return tuple(word.strip() for word in words if word.strip())

    return {name: words_of(name, value) for name, value in parse_toml(content).items()}


def _csv_rows(content: bytes) -> dict[str, tuple[str, ...]]:
    lines = content.decode("utf-8-sig").splitlines()
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, strict=True) if row]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a row has one cell alone")
    found = {row[0]: tuple(word for word in row[1:] if word) for row in rows}
    if len(found) < len(rows):
        raise ValueError("a class has two rows")
    return found


def genre_words(track: Track, word_map: WordMap, min_confidence: float) -> tuple[str, ...]:
    """Return the words for a track, none where it is no genre or not sure enough.

    Of a bundle that knows one label at a time, its label; of a multi-label one all labels of the answer that are
    probable enough; of a hierarchy the last node of the answer that is.
    """
    sure = [label for label in track.analysis.genres if track.probability(label) >= min_confidence]
    if track.bundle.task.kind == "hierarchy":
        sure = sure[-1:]
    words = [word for label in sure for word in word_map.get(label, (split_path(label)[-1],))]
    return tuple(dict.fromkeys(words))
