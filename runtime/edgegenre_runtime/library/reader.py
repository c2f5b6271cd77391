"""Reading the library: tracks and arrays out."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shlex
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.network.task import task_from_dict

from .database import said_plainly
from .records import BundleRecord, Track, TrackArrays
from .rows import ANALYSIS_COLUMNS, analysis_of, fill_arrays, matrix_of

__all__ = ["Known", "LibraryReader", "path_bytes", "paths_below"]

_USABLE = "error IS NULL AND NOT is_gone"
_PAGE = 1000  # rows that are held at a time
_MOST_VALUES = 500  # of one statement; SQLite takes at least 999


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


class LibraryReader:
    """What can be read of a library's database; see :class:`.store.Library`.

    Attributes
    ----------
    path
        The database's file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._bundles: dict[int, BundleRecord] = {}

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
            command = f"edgegenre library scan MUSIC --db {shlex.quote(str(self.path))}"
            raise DataError(f"{self.path}: the library is empty: run  {command}")
        return bundles[-1]

    def tracks(self, where: str = _USABLE, values: Iterable[Any] = (), order: str = "path") -> Iterator[Track]:
        """Yield tracks, by default every one that is there and has an answer; ``where`` and ``order`` are SQL."""
        columns = f"id, path, is_gone, bundle, max_windows, {ANALYSIS_COLUMNS}"
        sql = f"SELECT {columns} FROM tracks WHERE {where} ORDER BY {order}"  # noqa: S608
        for row in self._rows(sql, values):
            bundle = self._bundle(row[3])
            with self._row_read(row[0]):
                analysis = analysis_of(row[5:])
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
        where = _embedded(bundle)
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
                fill_arrays(found, done, page)
            except (ValueError, TypeError):
                for row in page:  # which one is damaged
                    with self._row_read(row[0]):
                        fill_arrays(found, done, [row])
            done += len(page)
        return TrackArrays(*(getattr(found, field.name)[:done] for field in dataclasses.fields(found)))

    def probabilities(self, bundle: BundleRecord) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return ids int64 [n], ascending, and probabilities float32 [n, classes] of the tracks that have them."""
        n_names = len(bundle.task.names)
        sql = f"SELECT id, probabilities FROM tracks WHERE {_of(bundle)} AND probabilities IS NOT NULL ORDER BY id"  # noqa: S608
        ids, found = [np.zeros(0, np.int64)], [np.zeros((0, n_names), np.float32)]
        for page_ids, page in self._matrices(self._rows(sql), "<f4", n_names):
            ids.append(np.array(page_ids, np.int64))
            found.append(page)
        return np.concatenate(ids), np.concatenate(found)

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
            "SELECT path FROM tracks WHERE content_hash = ? AND +bundle = ? AND max_windows = ? AND error IS NULL "
            "ORDER BY is_gone DESC LIMIT 1"
        )
        row = next(self._rows(sql, [digest, bundle.id, max_windows]), None)
        return None if row is None else bytes(row[0])

    def count_embeddings(self, bundle: BundleRecord) -> int:
        """Return how many tracks of a bundle :meth:`embedding_pages` has."""
        return self.count(_embedded(bundle))

    def embedding_pages(self, bundle: BundleRecord) -> Iterator[tuple[list[int], npt.NDArray[np.float16]]]:
        """Yield ids and embeddings, float16 [n, D], of a bundle's tracks that are there and have one, page by page."""
        sql = f"SELECT id, embedding FROM tracks WHERE {_embedded(bundle)} ORDER BY id"  # noqa: S608
        yield from self._matrices(self._rows(sql), "<f2", bundle.embedding_dims)

    def embeddings(
        self, bundle: BundleRecord, ids: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]:
        """Return some of these tracks: ids int64 [n], ascending, and embeddings float16 [n, D]."""
        found_ids: list[int] = []
        found: list[npt.NDArray[np.float16]] = []
        for first in range(0, len(ids), _MOST_VALUES):
            some = ids[first : first + _MOST_VALUES].tolist()
            sql = f"SELECT id, embedding FROM tracks WHERE id IN ({', '.join('?' * len(some))}) ORDER BY id"  # noqa: S608
            for page_ids, page in self._matrices(self._rows(sql, some), "<f2", bundle.embedding_dims):
                found_ids += page_ids
                found.append(page)
        vectors = np.concatenate([np.zeros((0, bundle.embedding_dims), np.float16), *found])
        return np.array(found_ids, np.int64), vectors

    def _matrices(
        self, rows: Iterator[tuple[Any, ...]], dtype: str, width: int
    ) -> Iterator[tuple[list[int], npt.NDArray[Any]]]:
        while page := list(itertools.islice(rows, _PAGE)):
            ids, vectors = zip(*page, strict=True)
            try:
                found = matrix_of(vectors, dtype, width)
            except (ValueError, TypeError):
                for row_id, vector in page:  # which one is damaged
                    with self._row_read(row_id):
                        matrix_of([vector], dtype, width)
                raise
            yield list(ids), found

    def state(self) -> bytes:
        """Return 16 bytes that are others after every change of tracks and embeddings."""
        return bytes(next(self._rows("SELECT token FROM state"))[0])

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read what is true at one moment, whatever a scan writes meanwhile."""
        if self._db.in_transaction:
            yield
            return
        with said_plainly(self.path):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with said_plainly(self.path):
                self._db.execute("COMMIT")

    def has_below(self, root: bytes) -> bool:
        """Return whether there is a track of this path, or of one below it."""
        return bool(self._paths_below(paths_below(root), b""))

    def _paths_below(self, below: list[bytes], last: bytes) -> list[tuple[bytes, int]]:
        sql = (
            "SELECT path, is_gone FROM tracks WHERE ((path >= ? AND path < ?) OR path = ?) AND path > ? ORDER BY path "
            "LIMIT ?"
        )
        return [(bytes(path), is_gone) for path, is_gone in self._rows(sql, [*below, last, _PAGE])]

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


def paths_below(root: bytes) -> list[bytes]:
    """Return the first path below a folder, the first behind all of them, and its own: "0" comes behind "/"."""
    return [root.rstrip(b"/") + b"/", root.rstrip(b"/") + b"0", root]


def path_bytes(path: Path | str) -> bytes:
    """Return a path as the database holds it: absolute, the file system's bytes."""
    return os.fsencode(os.path.abspath(path))


def _of(bundle: BundleRecord) -> str:
    """Return the condition for a bundle's tracks; the plus keeps SQLite from going by the index of bundles."""
    return f"+bundle = {bundle.id} AND {_USABLE}"


def _embedded(bundle: BundleRecord) -> str:
    """Return the condition for tracks that a search finds."""
    return f"{_of(bundle)} AND embedding IS NOT NULL"
