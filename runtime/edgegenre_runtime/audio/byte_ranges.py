"""A file as a row of byte ranges, some of it made up: what a decoder reads in place of the file itself."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import os
from collections.abc import Sequence
from typing import BinaryIO

from . import native_passes

__all__ = ["ByteRanges", "FileBytes"]

_BUFFER_BYTES = 1 << 18
_MOST_COPIED_BYTES = 1 << 25  # an MP3 of half an hour


class FileBytes:
    """A file's bytes by position, through one buffer.

    Parameters
    ----------
    handle
        Open for reading, seekable.

    Attributes
    ----------
    n_bytes
        Size of the file.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._start, self._buffer = 0, b""
        self.n_bytes = handle.seek(0, io.SEEK_END)

    def at(self, position: int, n_bytes: int) -> bytes:
        """Return up to ``n_bytes`` from ``position``, fewer only at the end of the file."""
        offset = position - self._start
        if offset < 0 or offset + n_bytes > len(self._buffer):
            self._handle.seek(position)
            self._buffer = self._handle.read(max(n_bytes, _BUFFER_BYTES))
            self._start, offset = position, 0
        return self._buffer[offset : offset + n_bytes]

    def find(self, pattern: bytes, position: int) -> int:
        """Return where ``pattern`` stands next, or -1."""
        while position < self.n_bytes:
            block = self.at(position, _BUFFER_BYTES)
            by_c = native_passes.find(block, pattern) if len(pattern) == 4 else None
            found = block.find(pattern) if by_c is None else by_c
            if found >= 0:
                return position + found
            position += max(len(block) - len(pattern) + 1, 1)
        return -1


class ByteRanges:
    """A read-only file made of ranges of another one.

    Parameters
    ----------
    handle
        The other file.
    ranges
        First byte and the one behind the last, in order.
    prefix
        Bytes that come before them.

    Attributes
    ----------
    error
        The first error in reading the other file, if any. A decoder's callback cannot raise it: it reads no further.
    """

    def __init__(self, handle: BinaryIO, ranges: Sequence[tuple[int, int]], prefix: bytes = b"") -> None:
        self._handle, self._prefix, self._ranges = handle, prefix, list(ranges)
        sizes = [len(prefix), *(stop - start for start, stop in self._ranges)]
        self._ends = list(itertools.accumulate(sizes))
        self._position = 0
        self.error: OSError | None = None

    def descriptor(self) -> int | None:
        """Return a new descriptor of these bytes, for C code to read without calling Python some forty times a second.

        That is the file itself where all of it is wanted, else a copy in memory; None where neither can be had, or the
        copy would be large. The caller closes it.
        """
        with contextlib.suppress(OSError, AttributeError):  # no /proc, no memfd_create, or no real file
            number = self._handle.fileno()
            if not self._prefix and self._ranges == [(0, os.fstat(number).st_size)]:
                return os.open(f"/proc/self/fd/{number}", os.O_RDONLY)  # with a position of its own
            if self._ends[-1] <= _MOST_COPIED_BYTES:
                return self._copied()
        return None

    def _copied(self) -> int:
        """Return a file in memory; raises :class:`OSError` if the bytes are not all there."""
        copy = os.memfd_create("edgegenre")
        try:
            content = self.read()
            if len(content) < self._ends[-1] or os.write(copy, content) < len(content):
                raise OSError("not all there")
            os.lseek(copy, 0, os.SEEK_SET)
        except BaseException:
            os.close(copy)
            raise
        finally:
            self._position, self.error = 0, None
        return copy

    def read(self, n_bytes: int = -1) -> bytes:
        """Return the next ``n_bytes``, or all that are left."""
        if n_bytes < 0:
            n_bytes = self._ends[-1]
        parts = []
        while n_bytes > 0 and self._position < self._ends[-1]:
            part = self._read_some(n_bytes)
            if not part:
                break
            parts.append(part)
            n_bytes -= len(part)
            self._position += len(part)
        return b"".join(parts)

    def _read_some(self, n_bytes: int) -> bytes:
        """Return bytes of the range that holds the position, none at an error."""
        index = bisect.bisect_right(self._ends, self._position)
        left = self._ends[index] - self._position
        if index == 0:
            return self._prefix[self._position : self._position + n_bytes]
        try:
            self._handle.seek(self._ranges[index - 1][1] - left)
            return self._handle.read(min(n_bytes, left))
        except OSError as error:
            self.error = self.error or error
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to ``offset`` from the start, the position or the end; returns the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = min(max(base + offset, 0), self._ends[-1])
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position
