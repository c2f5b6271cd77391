"""The library: tracks in, tracks and arrays out."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .database import open_database, said_plainly
from .reader import Known, LibraryReader, path_bytes, paths_below
from .records import Analysis, BundleRecord, Fingerprint, TagChange
from .rows import ANALYSIS_COLUMNS, top_of, values_of

__all__ = ["Known", "Library", "path_bytes"]


class Library(LibraryReader):
    """A library's database, open until :meth:`close` or the end of a ``with`` block.

    Any number of readers can be open beside one writer (SQLite's WAL). Rows are written in transactions that
    :meth:`commit` ends.
    """

    @classmethod
    def open(cls, path: Path | str, *, create: bool = False) -> Library:
        """Open a library; raises :class:`DataError` as :func:`.database.open_database`."""
        return cls(Path(path), open_database(Path(path), create=create))

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; what was not committed is dropped."""
        self._db.close()

    def add_bundle(self, hash_hex: str, description: Mapping[str, Any]) -> BundleRecord:
        """Return the record of a bundle, made if it is new.

        Parameters
        ----------
        hash_hex
            Hash of what decides its answers.
        description
            ``name``, ``labels``, ``embedding_dims``, and ``task`` and ``thresholds`` as in a manifest.
        """
        self._run(
            "INSERT OR IGNORE INTO bundles (hash, description) VALUES (?, ?)", [hash_hex, json.dumps(description)]
        )
        return self._bundle(next(self._rows("SELECT id FROM bundles WHERE hash = ?", [hash_hex]))[0])

    def put(self, path: bytes, analysis: Analysis, bundle: BundleRecord, max_windows: int) -> None:
        """Store what was found out about a path, in place of what was known."""
        values = [path, bundle.id, max_windows, _now(), top_of(analysis, bundle), *values_of(analysis)]
        columns = f"path, bundle, max_windows, scanned_at, top, {ANALYSIS_COLUMNS}"
        sets = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", ")[1:])
        marks = ", ".join("?" * len(values))
        self._run(
            f"INSERT INTO tracks ({columns}) VALUES ({marks}) "  # noqa: S608
            f"ON CONFLICT (path) DO UPDATE SET {sets}, is_gone = 0",
            values,
        )

    def adopt(self, path: bytes, found: Fingerprint, same: bytes, *, is_move: bool) -> None:
        """Give a path what is known of another file with the same content.

        Parameters
        ----------
        path, found
            The file.
        same
            The other path, or the same one where only the file's time has changed.
        is_move
            Whether the other file is no longer there, so that its row goes with it.
        """
        now = [found.size, found.mtime_ns, path]
        if is_move:
            if path != same:
                self._run("DELETE FROM tracks WHERE path = ?", [path])
            sql = "UPDATE tracks SET size = ?, mtime_ns = ?, path = ?, is_gone = 0 WHERE path = ?"
            self._run(sql, [*now, same])
            return
        rest = f"scanned_at, bundle, max_windows, top, {ANALYSIS_COLUMNS.removeprefix('size, mtime_ns, ')}"
        self._run(
            f"INSERT OR REPLACE INTO tracks (size, mtime_ns, path, {rest}) "  # noqa: S608
            f"SELECT ?, ?, ?, {rest} FROM tracks WHERE path = ?",
            [*now, same],
        )

    def mark_there(self, track_id: int) -> None:
        """Note that a file that was gone is there again."""
        self._run("UPDATE tracks SET is_gone = 0 WHERE id = ?", [track_id])

    def mark_gone(self, roots: Iterable[bytes]) -> int:
        """Note which files below ``roots`` are no longer there; returns how many are gone, in this scan or before."""
        n_gone = 0
        for root in roots:
            below, last = paths_below(root), b""
            while rows := self._paths_below(below, last):
                last = rows[-1][0]
                for path, is_gone in rows:
                    if not os.path.exists(path):
                        n_gone += 1
                        if not is_gone:
                            self._run("UPDATE tracks SET is_gone = 1 WHERE path = ?", [path])
        return n_gone

    def update_file(self, path: bytes, found: Fingerprint) -> None:
        """Note size, time and hash of a file whose answer stays."""
        sql = "UPDATE tracks SET size = ?, mtime_ns = ?, content_hash = ? WHERE path = ?"
        self._run(sql, [found.size, found.mtime_ns, found.content_hash, path])

    def begin_change(self, track_id: int, before: Sequence[str], after: Sequence[str]) -> int:
        """Note that a file's genre tag is about to be changed; returns the row."""
        sql = "INSERT INTO tag_changes (track, changed_at, before, after) VALUES (?, ?, ?, ?)"
        cursor = self._run(sql, [track_id, _now(), json.dumps(before), json.dumps(after)])
        return int(cursor.lastrowid or 0)

    def drop_change(self, row: int) -> None:
        """Note that a change did not happen."""
        self._run("DELETE FROM tag_changes WHERE id = ?", [row])

    def end_changes(self, track_id: int) -> None:
        """Note that a file's tag is as it was."""
        self._run("UPDATE tag_changes SET is_undone = 1 WHERE track = ?", [track_id])

    def changes(self) -> list[TagChange]:
        """Return the files whose genre tag was changed and not given back, by path."""
        sql = (
            "SELECT track, path, (SELECT before FROM tag_changes WHERE id = first), "
            "(SELECT after FROM tag_changes WHERE id = last) "
            "FROM (SELECT track, MIN(id) AS first, MAX(id) AS last FROM tag_changes WHERE NOT is_undone "
            "GROUP BY track) JOIN tracks ON tracks.id = track ORDER BY path"
        )
        return [
            TagChange(row[0], Path(os.fsdecode(row[1])), tuple(json.loads(row[2])), tuple(json.loads(row[3])))
            for row in self._rows(sql)
        ]

    def commit(self) -> None:
        """End the transaction: everything put so far stays, whatever happens next."""
        if self._db.in_transaction:
            with said_plainly(self.path):
                self._db.execute("COMMIT")

    def _run(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with said_plainly(self.path):
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            return self._db.execute(sql, tuple(values))


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
