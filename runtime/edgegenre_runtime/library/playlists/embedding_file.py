"""The embeddings of a large library in one flat file beside its database, so that a search need not load them.

A row is a track's unit embedding less a common center, in int8 with a scale of its own, and how far that is off. From
these the cosine with a point is known to lie between two bounds; only tracks that can be among the nearest are then
compared by what the database holds. So the answer is that of a search of all of the database.

The file carries the database's state (:meth:`..store.Library.state`), which changes with every row that is written: of
another state it is written anew. So it is where a byte of it was damaged: the sum of every block of rows is looked at
while its rows are in the processor's cache, and a CRC covers all that comes
before them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import zlib
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

_MAGIC, _OURS = b"EGEMBED2", b"EGEMBED"  # with the version, and without
_HEADER = struct.Struct("<8s16sqqqI")  # magic, state of the database, bundle, rows, values of an embedding, CRC
WORTHWHILE_ROWS = 10_000
"""Tracks from which on a library has the file."""

_BLOCK_ROWS = 512
_MOST_CANDIDATES = 20_000
_LARGEST = 127
_UPWARDS = np.float32(1 + 1e-4)  # an error is never given as smaller than it is


class _DamagedError(OSError):
    """The file is not what was written."""


@dataclasses.dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """A file that fits the database as it is.

    Attributes
    ----------
    path
        The file.
    n_rows, n_dims
        Tracks, and values of an embedding.
    crc
        CRC-32 of what stands between header and rows.
    """

    path: Path
    n_rows: int
    n_dims: int
    crc: int = 0

    @property
    def n_blocks(self) -> int:
        """Blocks of 512 rows; the last one may be shorter."""
        return -(-self.n_rows // _BLOCK_ROWS)

    @property
    def start(self) -> int:
        """Where the rows begin: behind header; ids, scales and errors of the rows; the center; sums of the blocks."""
        return _HEADER.size + 16 * self.n_rows + 4 * self.n_dims + 8 * self.n_blocks

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return self.start + self.n_rows * self.n_dims

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
            The file is damaged, or cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(_HEADER.size)
            head = _read(file, self.start - _HEADER.size)
            if zlib.crc32(head) != self.crc:
                raise _DamagedError(f"{self.path}: is damaged")
            kinds = [("<i8", self.n_rows), ("<f4", self.n_rows), ("<f4", self.n_rows), ("<f4", self.n_dims)]
            ids, scales, errors, center, sums = _split(head, [*kinds, ("<u8", self.n_blocks)])
            products = self._products(file.fileno(), sums, points)
        rounding = np.float32(self.n_dims) * np.finfo(np.float32).eps  # more than a sum of so many can be off
        found = []
        for products_of, point in zip(products.T, points.T, strict=True):
            cosines = products_of * scales + center @ point
            slack = (errors + rounding) * np.linalg.norm(point)
            least = cosines - slack
            border = np.partition(least, len(least) - n)[len(least) - n] if n < len(least) else -np.inf
            found.append(ids[cosines + slack >= border])
        return found

    def _products(
        self, number: int, sums: npt.NDArray[np.uint64], points: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Return the products of the int8 rows with points, float32 [rows, k]; raises OSError for damaged rows."""
        n_threads, n_points = search_threads(), points.shape[1]
        products = np.empty((self.n_rows, n_points), np.float32)
        bounds = np.linspace(0, self.n_blocks, n_threads + 1).astype(int).tolist()

        def multiply(i: int) -> None:
            small = np.empty((_BLOCK_ROWS, self.n_dims), np.int8)
            block = np.empty(small.shape, np.float32)
            for number_of_block in range(bounds[i], bounds[i + 1]):
                first = number_of_block * _BLOCK_ROWS
                n = min(_BLOCK_ROWS, self.n_rows - first)
                n_read = os.preadv(number, [small[:n].data], self.start + first * self.n_dims)
                if n_read != n * self.n_dims or _sum(small[:n]) != sums[number_of_block]:
                    raise _DamagedError(f"{self.path}: is damaged")
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
    with library.snapshot(), contextlib.suppress(OSError):
        file = _open(library, bundle)
        if file is not None:
            try:
                return _by_file(library, bundle, file, points, n)
            except _DamagedError:
                file = _open(library, bundle, is_damaged=True)
            if file is not None:
                return _by_file(library, bundle, file, points, n)
    with library.snapshot():
        arrays = library.arrays(bundle)
        return [arrays.ids[rows] for rows in nearest_rows(arrays.embeddings, points, n).T]


def _by_file(
    library: Library, bundle: BundleRecord, file: EmbeddingFile, points: npt.NDArray[np.float32], n: int
) -> list[npt.NDArray[np.int64]]:
    return [
        _nearest(library, bundle, ids, point[:, None], min(n, file.n_rows))
        for ids, point in zip(file.candidates(points, n), points.T, strict=True)
    ]


def _nearest(
    library: Library, bundle: BundleRecord, ids: npt.NDArray[np.int64], point: npt.NDArray[np.float32], n: int
) -> npt.NDArray[np.int64]:
    """Return the ids of the ``n`` nearest of some tracks; raises :class:`OSError` where these cannot be all."""
    if not n <= len(ids) <= max(_MOST_CANDIDATES, n):
        raise OSError("too many")
    found, embeddings = library.embeddings(bundle, ids)
    if len(found) != len(ids):
        raise _DamagedError("a damaged file names tracks that are not there")
    ids = found
    nearest: npt.NDArray[np.int64] = ids[nearest_rows(embeddings, point, n)[:, 0]]
    return nearest


def _open(library: Library, bundle: BundleRecord, *, is_damaged: bool = False) -> EmbeddingFile | None:
    """Return the library's file, written if need be; None where there is none to be had."""
    path, state = library.path.with_name(f"{library.path.name}.embeddings"), library.state()
    try:
        if path.exists():
            content = _head(path)
            if not content.startswith(_OURS):
                return None  # somebody else's
            found = None if is_damaged else _fitting(path, content, state, bundle)
            if found is not None:
                return found
        n_rows = library.count_embeddings(bundle)
        if n_rows < WORTHWHILE_ROWS:
            return None
        file = EmbeddingFile(path, n_rows, bundle.embedding_dims)
        with written_beside(path) as opened:
            crc = _write(opened, library, bundle, file)
            opened.seek(0)
            opened.write(_HEADER.pack(_MAGIC, state, bundle.id, n_rows, file.n_dims, crc))
    except (OSError, DataError):  # no permission, or no room: it is only slower without
        return None
    return dataclasses.replace(file, crc=crc)


def _head(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(_HEADER.size)


def _fitting(path: Path, head: bytes, state: bytes, bundle: BundleRecord) -> EmbeddingFile | None:
    """Return the file if it is whole, and of this state of the database."""
    if len(head) < _HEADER.size:
        return None
    magic, of_state, of_bundle, n_rows, n_dims, crc = _HEADER.unpack(head)
    file = EmbeddingFile(path, n_rows, n_dims, crc)
    fits = (magic, of_state, of_bundle, n_dims) == (_MAGIC, state, bundle.id, bundle.embedding_dims)
    return file if fits and n_rows > 0 and path.stat().st_size == file.n_bytes else None


def _write(opened: BinaryIO, library: Library, bundle: BundleRecord, file: EmbeddingFile) -> int:
    """Write the rows as the database gives them, then what is said of them; returns the CRC-32 of the latter."""
    ids = np.zeros(file.n_rows, "<i8")
    scales, errors = np.zeros(file.n_rows, "<f4"), np.zeros(file.n_rows, "<f4")
    center: npt.NDArray[np.float32] | None = None
    opened.seek(file.start)
    done, sums, waiting = 0, list[int](), np.zeros((0, file.n_dims), np.int8)
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
        waiting = np.concatenate((waiting, rows))
        while len(waiting) >= _BLOCK_ROWS or (len(waiting) and done == file.n_rows):
            sums.append(_sum(waiting[:_BLOCK_ROWS]))
            waiting = waiting[_BLOCK_ROWS:]
    middle = np.zeros(0, "<f4") if center is None else center
    head = b"".join(part.tobytes() for part in (ids, scales, errors, middle, np.array(sums, "<u8")))
    opened.seek(_HEADER.size)
    opened.write(head)
    return zlib.crc32(head)


def _sum(rows: npt.NDArray[np.int8]) -> int:
    """Return the sum of some rows as words of 64 bits, and of the bytes that are left, modulo 2^64."""
    flat = rows.reshape(-1).view(np.uint8)
    n_whole = len(flat) // 8 * 8
    words, rest = flat[:n_whole].view("<u8"), flat[n_whole:]
    return (int(words.sum(dtype=np.uint64)) + int(rest.sum(dtype=np.uint64))) % 2**64


def _read(opened: BinaryIO, n_bytes: int) -> bytes:
    """Return the next ``n_bytes``; raises :class:`OSError` where there are fewer."""
    content = opened.read(n_bytes)
    if len(content) != n_bytes:
        raise _DamagedError("cut")
    return content


def _split(content: bytes, kinds: list[tuple[str, int]]) -> list[npt.NDArray[Any]]:
    """Return arrays of these types and lengths that lie one behind the other."""
    found, position = [], 0
    for kind, n in kinds:
        found.append(np.frombuffer(content, kind, n, position))
        position += found[-1].nbytes
    return found
