"""Whole lines to a file descriptor: a line that a full disk cut off is never glued to the next one."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from typing import TextIO

__all__ = ["LineWriter", "descriptor_writer", "stream_writer"]

_WRITE_TIMEOUT_S = 1.0  # for a descriptor that somebody made non-blocking


class LineWriter:
    """Writes lines at once and unbuffered.

    Parameters
    ----------
    write
        Takes bytes, returns how many of them were written; raises OSError.
    encoding
        Of the lines; what it cannot hold is escaped.
    is_torn
        Whether what is there ends within a line.
    """

    def __init__(self, write: Callable[[bytes], int], encoding: str = "utf-8", *, is_torn: bool = False) -> None:
        self._write, self._encoding, self._is_torn = write, encoding, is_torn

    def write(self, text: str) -> None:
        """Write lines, each with its end; raises OSError where not all of them could be written."""
        data = b"\n" * self._is_torn + text.encode(self._encoding, "backslashreplace")
        n_written = 0
        try:
            while n_written < len(data):
                n_written += self._write(data[n_written:])
        finally:
            if n_written:
                self._is_torn = data[n_written - 1 : n_written] != b"\n"


def descriptor_writer(descriptor: int) -> Callable[[bytes], int]:
    """Return a function that writes to a file descriptor and waits a second for a non-blocking one."""

    def write(data: bytes) -> int:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            if not select.select([], [descriptor], [], _WRITE_TIMEOUT_S)[1]:
                raise
            return os.write(descriptor, data)

    return write


def stream_writer(stream: TextIO, encoding: str | None = None) -> LineWriter:
    """Return the writer of a text stream, around its buffer where it has a file descriptor.

    Parameters
    ----------
    stream
        Such as ``sys.stdout``.
    encoding
        The stream's own by default.
    """
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
        return LineWriter(descriptor_writer(stream.fileno()), encoding or stream.encoding)

    def write(data: bytes) -> int:
        stream.write(data.decode())
        stream.flush()
        return len(data)

    return LineWriter(write)
