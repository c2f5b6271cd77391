"""The files that a scan has found and not done yet: on the disk, so that a million of them cost no memory."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .database import said_plainly

__all__ = ["FileList", "FoundFile"]

_CACHE_KB = 2000


class FoundFile(NamedTuple):
    """A file as the walk found it: absolute path, size in bytes, and time in ns."""

    path: bytes
    size: int
    mtime_ns: int


class FileList:
    """A list to be written once and read once, first in, first out; it is gone with the process.

    It is an unnamed database of SQLite, which moves to a temporary file when it outgrows its cache.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            f"PRAGMA cache_size = -{_CACHE_KB}",
            "CREATE TABLE files (path BLOB, size INTEGER, mtime_ns INTEGER)",
            "BEGIN",
        ):
            self._db.execute(statement)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, file: FoundFile) -> None:
        """Add a file; raises :class:`DataError` where the disk of temporary files is full."""
        with said_plainly(Path(tempfile.gettempdir())):
            self._db.execute("INSERT INTO files VALUES (?, ?, ?)", file)
        self._length += 1

    def __iter__(self) -> Iterator[FoundFile]:
        with said_plainly(Path(tempfile.gettempdir())):
            for row in self._db.execute("SELECT path, size, mtime_ns FROM files ORDER BY rowid"):
                yield FoundFile(*row)

    def close(self) -> None:
        """Drop the list."""
        self._db.close()
