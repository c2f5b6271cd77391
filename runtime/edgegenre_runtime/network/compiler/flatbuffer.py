"""A flatbuffer read without a library: tables, vectors and scalars at checked offsets.

Source of the format: https://flatbuffers.dev/internals. Every read goes through :func:`struct.unpack_from` or
:func:`numpy.frombuffer`, which refuse offsets outside of the buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Table", "root_table"]

T = TypeVar("T")


class Table:
    """One table of a flatbuffer; a field is named by its position in the schema, counted from 0.

    Parameters
    ----------
    buffer
        The whole file.
    position
        Where the table starts, bytes.

    Raises
    ------
    ValueError
        If its vtable lies outside of the file.
    """

    def __init__(self, buffer: bytes, position: int) -> None:
        self._buffer, self._position = buffer, position
        self._vtable = position - _read(buffer, "<i", position)
        self._n_slots = (_read(buffer, "<H", self._vtable) - 4) // 2

    def _at(self, field: int) -> int | None:
        """Return where a field's value stands, or None where the table leaves it out."""
        if field >= self._n_slots:
            return None
        offset = _read(self._buffer, "<H", self._vtable + 4 + 2 * field)
        return self._position + offset if offset else None

    def scalar(self, field: int, code: str, default: int = 0) -> int:
        """Return an integer field of the :mod:`struct` type ``code``, e.g. ``"i"``."""
        position = self._at(field)
        return default if position is None else _read(self._buffer, "<" + code, position)

    def _target(self, field: int) -> int | None:
        position = self._at(field)
        return None if position is None else position + _read(self._buffer, "<I", position)

    def table(self, field: int) -> Table | None:
        """Return a field that is a table, or None."""
        position = self._target(field)
        return None if position is None else Table(self._buffer, position)

    def tables(self, field: int, make: Callable[[Table], T]) -> tuple[T, ...]:
        """Return a vector of tables, each passed through ``make``."""
        start = self._target(field)
        if start is None:
            return ()
        n_items = _read(self._buffer, "<I", start)
        _check_length(self._buffer, start, 4 * n_items)
        places = range(start + 4, start + 4 + 4 * n_items, 4)
        return tuple(make(Table(self._buffer, place + _read(self._buffer, "<I", place))) for place in places)

    def array(self, field: int, dtype: str) -> npt.NDArray[np.generic] | None:
        """Return a vector of numbers of the little-endian ``dtype``, e.g. ``"<i4"``, read-only; None if left out."""
        start = self._target(field)
        if start is None:
            return None
        n_items = _read(self._buffer, "<I", start)
        _check_length(self._buffer, start, n_items * np.dtype(dtype).itemsize)
        return np.frombuffer(self._buffer, dtype, n_items, start + 4)

    def text(self, field: int) -> str:
        """Return a string field; empty if left out."""
        content = self.array(field, "u1")
        return "" if content is None else content.tobytes().decode("utf-8", "replace")


def root_table(buffer: bytes, identifier: bytes) -> Table:
    """Return the root of a flatbuffer that carries the four bytes ``identifier``.

    Raises
    ------
    ValueError
        If it does not, or is cut short.
    """
    if buffer[4:8] != identifier:
        raise ValueError(f"the file identifier is not {identifier.decode()}")
    return Table(buffer, _read(buffer, "<I", 0))


def _read(buffer: bytes, code: str, position: int) -> int:
    if position < 0:
        raise ValueError("an offset points outside of the file")
    try:
        value: int = struct.unpack_from(code, buffer, position)[0]
    except struct.error as error:
        raise ValueError("an offset points outside of the file") from error
    return value


def _check_length(buffer: bytes, start: int, n_bytes: int) -> None:
    if start + 4 + n_bytes > len(buffer):
        raise ValueError("a vector ends outside of the file")
