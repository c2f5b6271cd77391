"""What every script does that prints: it ends without a word where the reader of its output has read enough."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator

__all__ = ["until_closed"]


@contextlib.contextmanager
def until_closed() -> Iterator[None]:
    """End the process with exit code 1 where standard output is a pipe that nobody reads any more (``| head -1``)."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _has_lost_its_reader(sys.stdout.fileno()):
            raise  # another pipe's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own flush
        sys.exit(1)


def _has_lost_its_reader(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
