"""The embeddings of a large library in one flat file beside its database, so that a search need not load them.

A row is a track's unit embedding less a common center, in int8 with a scale of its own, and how far that is off. From
these the cosine with a point is known to lie between two bounds; only tracks that can be among the nearest are then
compared by what the database holds. So the answer is that of a search of all of the database.

The file carries the database's state (:meth:`..store.Library.state`), which changes with every row that is written: of
another state it is written anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError

from ..records import BundleRecord
from ..store import Library
from .nearest import nearest_rows, search_threads, widened

__all__ = ["WORTHWHILE_ROWS", "EmbeddingFile", "nearest_tracks"]

_MAGIC = b"EGEMBED1"
_HEADER = struct.Struct("<8s16sqqq")  # magic, state of the database, bundle, rows, values of an embedding
WORTHWHILE_ROWS = 10_000
"""Tracks from which on a library has the file."""

_BLOCK_ROWS = 512
_MOST_CANDIDATES = 20_000
_LARGEST = 127
_UPWARDS = np.float32(1 + 1e-4)  # an error is never given as smaller than it is


@dataclasses.dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """A file that fits the database as it is.

    Attributes
    ----------
    path
        The file.
    n_rows, n_dims
        Tracks, and values of an embedding.
    """

    path: Path
    n_rows: int
    n_dims: int

    @property
    def n_bytes(self) -> int:
        """Size of the file: header; ids, scales and errors of the rows; the center; the rows."""
        return _HEADER.size + 16 * self.n_rows + 4 * self.n_dims + self.n_rows * self.n_dims

    def candidates(self, points: npt.NDArray[np.float32], n: int) -> list[npt.NDArray[np.int64]]:
        """Return for each point the ids of the tracks that can be among its ``n`` nearest.

        Parameters
        ----------
        points
            float32 [D, k].
        n
            Tracks.

        Raises
        ------
        OSError
            The file is shorter than it should be, or cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(_HEADER.size)
            ids = _read(file, "<i8", self.n_rows)
            scales, errors = _read(file, "<f4", self.n_rows), _read(file, "<f4", self.n_rows)
            center = _read(file, "<f4", self.n_dims)
            products = self._products(file.fileno(), file.tell(), points)
        rounding = np.float32(self.n_dims) * np.finfo(np.float32).eps  # more than a sum of so many can be off
        found = []
        for products_of, point in zip(products.T, points.T, strict=True):
            cosines = products_of * scales + center @ point
            slack = (errors + rounding) * np.linalg.norm(point)
            least = cosines - slack
            border = np.partition(least, len(least) - n)[len(least) - n] if n < len(least) else -np.inf
            found.append(ids[cosines + slack >= border])
        return found

    def _products(self, number: int, start: int, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the products of the int8 rows with points, float32 [rows, k]."""
        n_threads, n_points = search_threads(), points.shape[1]
        products = np.empty((self.n_rows, n_points), np.float32)
        bounds = np.linspace(0, self.n_rows, n_threads + 1).astype(int).tolist()

        def multiply(i: int) -> None:
            small = np.empty((_BLOCK_ROWS, self.n_dims), np.int8)
            block = np.empty(small.shape, np.float32)
            for first in range(bounds[i], bounds[i + 1], _BLOCK_ROWS):
                n = min(_BLOCK_ROWS, bounds[i + 1] - first)
                if os.preadv(number, [small[:n].data], start + first * self.n_dims) != n * self.n_dims:
                    raise OSError(f"{self.path}: is cut")
                np.copyto(block[:n], small[:n])
                if n_points == 1:  # too small a product for threads of BLAS, which would wait for each other
                    np.einsum("ij,j->i", block[:n], points[:, 0], out=products[first : first + n, 0])
                else:
                    np.matmul(block[:n], points, out=products[first : first + n])

        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(multiply, range(n_threads)))
        return products


def nearest_tracks(
    library: Library, bundle: BundleRecord, points: npt.NDArray[np.float32], n: int
) -> list[npt.NDArray[np.int64]]:
    """Return for each point, float32 [D, k], the ids of the ``n`` nearest tracks by cosine, the nearest first.

    In a library of 10,000 tracks or more the file ``DATABASE.embeddings`` is used, and written where it is missing
    or of another state. Where that cannot be, all embeddings are loaded.
    """
    with library.snapshot():
        file = _open(library, bundle)
        if file is not None:
            with contextlib.suppress(OSError):
                return [
                    _nearest(library, bundle, ids, point[:, None], min(n, file.n_rows))
                    for ids, point in zip(file.candidates(points, n), points.T, strict=True)
                ]
        arrays = library.arrays(bundle)
        return [arrays.ids[rows] for rows in nearest_rows(arrays.embeddings, points, n).T]


def _nearest(
    library: Library, bundle: BundleRecord, ids: npt.NDArray[np.int64], point: npt.NDArray[np.float32], n: int
) -> npt.NDArray[np.int64]:
    """Return the ids of the ``n`` nearest of some tracks; raises :class:`OSError` where these cannot be all."""
    if not n <= len(ids) <= max(_MOST_CANDIDATES, n):
        raise OSError("too many, or a damaged file")
    found, embeddings = library.embeddings(bundle, ids)
    if len(found) != len(ids):
        raise OSError("a damaged file names tracks that are not there")
    ids = found
    nearest: npt.NDArray[np.int64] = ids[nearest_rows(embeddings, point, n)[:, 0]]
    return nearest


def _open(library: Library, bundle: BundleRecord) -> EmbeddingFile | None:
    """Return the library's file, written if need be; None where there is none to be had."""
    path, state = library.path.with_name(f"{library.path.name}.embeddings"), library.state()
    try:
        if path.exists():
            content = _head(path)
            if not content.startswith(_MAGIC):
                return None  # somebody else's
            if (found := _fitting(path, content, state, bundle)) is not None:
                return found
        n_rows = library.count_embeddings(bundle)
        if n_rows < WORTHWHILE_ROWS:
            return None
        file = EmbeddingFile(path, n_rows, bundle.embedding_dims)
        with written_beside(path) as opened:
            _write(opened, library, bundle, file, _HEADER.pack(_MAGIC, state, bundle.id, n_rows, file.n_dims))
    except (OSError, DataError):  # no permission, or no room: it is only slower without
        return None
    return file


def _head(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(_HEADER.size)


def _fitting(path: Path, head: bytes, state: bytes, bundle: BundleRecord) -> EmbeddingFile | None:
    """Return the file if it is whole, and of this state of the database."""
    if len(head) < _HEADER.size:
        return None
    _, of_state, of_bundle, n_rows, n_dims = _HEADER.unpack(head)
    file = EmbeddingFile(path, n_rows, n_dims)
    is_ours = (of_state, of_bundle, n_dims) == (state, bundle.id, bundle.embedding_dims)
    return file if is_ours and n_rows > 0 and path.stat().st_size == file.n_bytes else None


def _write(opened: BinaryIO, library: Library, bundle: BundleRecord, file: EmbeddingFile, header: bytes) -> None:
    """Write the rows as the database gives them, then what is said of them."""
    ids = np.zeros(file.n_rows, "<i8")
    scales, errors = np.zeros(file.n_rows, "<f4"), np.zeros(file.n_rows, "<f4")
    center: npt.NDArray[np.float32] | None = None
    opened.seek(file.n_bytes - file.n_rows * file.n_dims)
    done = 0
    for page_ids, page in library.embedding_pages(bundle):
        units = widened(page)
        units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
        if center is None:
            center = units.mean(axis=0, dtype=np.float64).astype("<f4")  # of any rows: the bounds hold for each center
        units -= center
        there = slice(done, done + len(page))
        ids[there], done = page_ids, done + len(page)
        scales[there] = np.maximum(np.abs(units).max(axis=1) / _LARGEST, 1e-12)
        rows = np.rint(units / scales[there, None]).astype(np.int8)
        errors[there] = np.linalg.norm(units - rows * scales[there, None], axis=1) * _UPWARDS
        opened.write(rows.tobytes())
    opened.seek(0)
    opened.write(header)
    for part in (ids, scales, errors, np.zeros(0, "<f4") if center is None else center):
        opened.write(part.tobytes())


def _read(opened: BinaryIO, kind: str, n: int) -> npt.NDArray[Any]:
    """Return the next ``n`` values; raises :class:`OSError` where there are fewer."""
    content = opened.read(np.dtype(kind).itemsize * n)
    if len(content) != np.dtype(kind).itemsize * n:
        raise OSError("cut")
    return np.frombuffer(content, kind)
