"""The library: tracks in, tracks and arrays out."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.network.task import task_from_dict

from .database import open_database, said_plainly
from .records import Analysis, BundleRecord, Fingerprint, TagChange, Track, TrackArrays

__all__ = ["Known", "Library", "path_bytes"]

_ANALYSIS = (
    "size, mtime_ns, content_hash, error, duration_s, label, genres, confidence, probabilities, embedding, n_windows, "
    "warnings"
)
_USABLE = "error IS NULL AND NOT is_gone"
_TOP = 3
_PAGE = 1000  # rows that are held at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What a scan must know about a path: the file then, and which bundle answered how."""

    id: int
    size: int
    mtime_ns: int
    bundle: int
    max_windows: int
    has_failed: bool
    is_gone: bool


class Library:
    """A library's database, open until :meth:`close` or the end of a ``with`` block.

    Any number of readers can be open beside one writer (SQLite's WAL). Rows are written in transactions that
    :meth:`commit` ends.

    Attributes
    ----------
    path
        The database's file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._bundles: dict[int, BundleRecord] = {}

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

    # reading

    def bundles(self) -> list[BundleRecord]:
        """Return every bundle that has answered, the one of the latest scan last."""
        found = self._rows(
            "SELECT id FROM bundles ORDER BY (SELECT MAX(scanned_at) FROM tracks WHERE bundle = bundles.id), id"
        )
        return [self._bundle(row[0]) for row in found]

    def bundle(self) -> BundleRecord:
        """Return the bundle of the latest scan; raises :class:`DataError` if nothing was scanned."""
        bundles = self.bundles()
        if not bundles:
            raise DataError(f"{self.path}: the library is empty: run  edgegenre library scan MUSIC --db {self.path}")
        return bundles[-1]

    def tracks(self, where: str = _USABLE, values: Iterable[Any] = (), order: str = "path") -> Iterator[Track]:
        """Yield tracks, by default every one that is there and has an answer; ``where`` and ``order`` are SQL."""
        sql = f"SELECT id, path, is_gone, bundle, max_windows, {_ANALYSIS} FROM tracks WHERE {where} ORDER BY {order}"  # noqa: S608
        for row in self._rows(sql, values):
            bundle = self._bundle(row[3])
            with self._row_read(row[0]):
                analysis = _analysis_of(row[5:])
            yield Track(
                id=row[0],
                path=Path(os.fsdecode(row[1])),
                is_gone=bool(row[2]),
                bundle=bundle,
                max_windows=row[4],
                analysis=analysis,
            )

    def track(self, path: Path | str) -> Track | None:
        """Return the track of a file; None if it is not in the library."""
        return next(self.tracks("path = ?", [path_bytes(path)]), None)

    def count(self, where: str = _USABLE, values: Iterable[Any] = ()) -> int:
        """Return how many tracks there are, as in :meth:`tracks`."""
        return int(next(self._rows(f"SELECT COUNT(*) FROM tracks WHERE {where}", values))[0])  # noqa: S608

    def arrays(self, bundle: BundleRecord) -> TrackArrays:
        """Return what :class:`TrackArrays` has of a bundle's tracks that are there and have an embedding."""
        where = f"bundle = {bundle.id} AND {_USABLE} AND embedding IS NOT NULL"
        n, n_names, n_dims = self.count(where), len(bundle.task.names), bundle.embedding_dims
        found = TrackArrays(
            np.zeros(n, np.int64),
            np.zeros((n, n_names), np.float32),
            np.zeros((n, n_dims), np.float16),
            np.zeros(n),
            np.zeros(n, np.uint64),
        )
        columns = "id, probabilities, embedding, duration_s, content_hash"
        rows = self._rows(f"SELECT {columns} FROM tracks WHERE {where} ORDER BY id LIMIT {n}")  # noqa: S608
        done = 0
        while page := list(itertools.islice(rows, _PAGE)):
            try:
                _fill(found, done, page)
            except (ValueError, TypeError):
                for row in page:  # which one is damaged
                    with self._row_read(row[0]):
                        _fill(found, done, [row])
            done += len(page)
        return TrackArrays(*(getattr(found, field.name)[:done] for field in dataclasses.fields(found)))

    def same_contents(self) -> list[tuple[bytes, int]]:
        """Return the hash of each content that several files have, and how many, the largest files first."""
        sql = (
            f"SELECT content_hash, COUNT(*) FROM tracks WHERE {_USABLE} GROUP BY content_hash "  # noqa: S608
            "HAVING COUNT(*) > 1 ORDER BY MAX(size) DESC, MIN(path)"
        )
        return [(bytes(digest), int(count)) for digest, count in self._rows(sql)]

    def known(self, path: bytes) -> Known | None:
        """Return what a scan must know about a path; None if it is new."""
        sql = "SELECT id, size, mtime_ns, bundle, max_windows, error IS NOT NULL, is_gone FROM tracks WHERE path = ?"
        row = next(self._rows(sql, [path]), None)
        return None if row is None else Known(row[0], row[1], row[2], row[3], row[4], bool(row[5]), bool(row[6]))

    def has_size(self, size: int) -> bool:
        """Return whether any file of this size has an answer."""
        sql = "SELECT 1 FROM tracks WHERE size = ? AND error IS NULL LIMIT 1"
        return next(self._rows(sql, [size]), None) is not None

    def same_content(self, digest: bytes, bundle: BundleRecord, max_windows: int) -> bytes | None:
        """Return the path of a file with this content and an answer of this kind; None if there is none."""
        sql = (
            "SELECT path FROM tracks WHERE content_hash = ? AND bundle = ? AND max_windows = ? AND error IS NULL "
            "ORDER BY is_gone DESC LIMIT 1"
        )
        row = next(self._rows(sql, [digest, bundle.id, max_windows]), None)
        return None if row is None else bytes(row[0])

    # writing

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
        values = [path, bundle.id, max_windows, _now(), _top_of(analysis, bundle), *_values_of(analysis)]
        columns = f"path, bundle, max_windows, scanned_at, top, {_ANALYSIS}"
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
        rest = f"scanned_at, bundle, max_windows, top, {_ANALYSIS.removeprefix('size, mtime_ns, ')}"
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
            below = [root.rstrip(b"/") + b"/", root.rstrip(b"/") + b"0", root]  # "0" comes behind "/"
            last = b""
            while rows := self._page(below, last):
                last = rows[-1][0]
                for path, is_gone in rows:
                    if not os.path.exists(path):
                        n_gone += 1
                        if not is_gone:
                            self._run("UPDATE tracks SET is_gone = 1 WHERE path = ?", [path])
        return n_gone

    def _page(self, below: list[bytes], last: bytes) -> list[tuple[bytes, int]]:
        sql = (
            "SELECT path, is_gone FROM tracks WHERE ((path >= ? AND path < ?) OR path = ?) AND path > ? ORDER BY path "
            "LIMIT ?"
        )
        return [(bytes(path), is_gone) for path, is_gone in self._rows(sql, [*below, last, _PAGE])]

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

    def _rows(self, sql: str, values: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with said_plainly(self.path), contextlib.closing(self._db.cursor()) as cursor:
            yield from cursor.execute(sql, tuple(values))

    @contextlib.contextmanager
    def _row_read(self, row_id: int) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError) as error:
            raise DataError(f"{self.path}: the record of track {row_id} is damaged ({error})") from error

    def _bundle(self, row_id: int) -> BundleRecord:
        if row_id not in self._bundles:
            digest, text = next(self._rows("SELECT hash, description FROM bundles WHERE id = ?", [row_id]))
            try:
                described = parse_json(text)
                task = task_from_dict(described, described["labels"])
                record = BundleRecord(row_id, digest, str(described["name"]), task, int(described["embedding_dims"]))
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{self.path}: the record of bundle {digest[:12]} is damaged ({error})") from error
            self._bundles[row_id] = record
        return self._bundles[row_id]


def path_bytes(path: Path | str) -> bytes:
    """Return a path as the database holds it: absolute, the file system's bytes."""
    return os.fsencode(os.path.abspath(path))


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def _top_of(analysis: Analysis, bundle: BundleRecord) -> str | None:
    if analysis.probabilities is None:
        return None
    named = zip(bundle.task.names, analysis.probabilities.tolist(), strict=True)
    best = sorted(named, key=lambda item: -item[1])[:_TOP]
    return json.dumps([[name, round(value, 4)] for name, value in best], ensure_ascii=False)


def _values_of(analysis: Analysis) -> tuple[Any, ...]:
    """Return the values of the columns ``_ANALYSIS``."""
    p, e = analysis.probabilities, analysis.embedding
    return (
        analysis.size,
        analysis.mtime_ns,
        analysis.content_hash,
        analysis.error,
        analysis.duration_s,
        analysis.label,
        json.dumps(analysis.genres, ensure_ascii=False),
        analysis.confidence,
        None if p is None else p.astype("<f4").tobytes(),
        None if e is None else e.astype("<f2").tobytes(),
        analysis.n_windows,
        json.dumps(analysis.warnings, ensure_ascii=False) if analysis.warnings else None,
    )


def _analysis_of(row: tuple[Any, ...]) -> Analysis:
    """Return the record of the columns ``_ANALYSIS``."""
    size, mtime_ns, digest, error, duration_s, label, genres, confidence, p, e, n_windows, warnings = row
    return Analysis(
        size=size,
        mtime_ns=mtime_ns,
        content_hash=digest,
        error=error,
        duration_s=duration_s,
        label=label,
        genres=tuple(json.loads(genres)),
        confidence=confidence,
        probabilities=_floats(p, "<f4"),
        embedding=_floats(e, "<f2"),
        n_windows=n_windows,
        warnings=tuple(json.loads(warnings or "[]")),
    )


def _fill(arrays: TrackArrays, i: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put rows of id, probabilities, embedding, seconds and hash into arrays from row ``i`` on, all at once."""
    ids, probabilities, embeddings, durations_s, digests = zip(*rows, strict=True)
    there = slice(i, i + len(rows))
    n_names = arrays.probabilities.shape[1]
    missing = np.full(n_names, np.nan, "<f4").tobytes()
    arrays.ids[there], arrays.durations_s[there] = ids, durations_s
    arrays.contents[there] = [int.from_bytes(digest[:8], "little") for digest in digests]
    arrays.probabilities[there] = _matrix([missing if p is None else p for p in probabilities], "<f4", n_names)
    arrays.embeddings[there] = _matrix(embeddings, "<f2", arrays.embeddings.shape[1])


def _matrix(rows: Sequence[bytes], dtype: str, width: int) -> npt.NDArray[Any]:
    n_bytes = np.dtype(dtype).itemsize * width
    if any(len(row) != n_bytes for row in rows):
        raise ValueError(f"not all of {width} values")
    return np.frombuffer(b"".join(rows), dtype).reshape(len(rows), width)


def _floats(content: bytes | None, dtype: str) -> npt.NDArray[Any] | None:
    return None if content is None else np.frombuffer(content, dtype)
