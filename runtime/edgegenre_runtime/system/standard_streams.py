"""Standard input, output and error where a service or a shell left them closed, full or shared with a library."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["flush_stdout", "native_messages_dropped", "open_closed_streams"]

_NAMES = ("stdin", "stdout", "stderr")


def open_closed_streams() -> frozenset[str]:
    """Open the null device for each of the three descriptors that is closed; returns their names.

    Otherwise the next file opened, a log or a socket, becomes descriptor 1 or 2, and a library's messages go into it.
    """
    closed = []
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            closed.append(name)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:  # what the interpreter makes of a closed descriptor
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    return frozenset(closed)


def flush_stdout() -> OSError | None:
    """Flush standard output; where that fails, return why and let the interpreter's own flush at the end succeed."""
    try:
        sys.stdout.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        return error
    return None


@contextlib.contextmanager
def native_messages_dropped() -> Iterator[None]:
    """Drop what C libraries print on descriptor 2, such as mpg123's notes; ``sys.stderr`` still reaches its reader."""
    before = sys.stderr
    try:
        is_descriptor_2 = before.fileno() == 2
    except (OSError, ValueError):
        is_descriptor_2 = False
    if not is_descriptor_2:  # somebody, such as a test, has put another stream in its place
        yield
        return
    before.flush()
    real, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(real, "w", 1, before.encoding, "backslashreplace") as stream:
            os.dup2(null, 2)
            sys.stderr = stream
            try:
                yield
            finally:
                sys.stderr = before
                os.dup2(real, 2)
    finally:
        os.close(null)
