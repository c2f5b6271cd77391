"""Silence for the converters, which print, log and warn on every channel there is."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

from edgegenre_runtime.errors import EdgeGenreError, ExportError

__all__ = ["converter", "quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what the body prints (Python's and C++'s), logs and warns of; exceptions pass.

    File descriptors 1 and 2 belong to the process: while this runs, other threads are silent too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    logging_level = logging.root.manager.disable
    sink = io.StringIO()  # stays open: a library may keep it in a log handler
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        logging.disable(logging.CRITICAL)
        with (
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging_level)
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextlib.contextmanager
def converter(what: str) -> Iterator[None]:
    """Run a converter quietly and turn whatever it raises into one line.

    Raises
    ------
    ExportError
        ``what`` and the first line of the converter's own message.
    KeyboardInterrupt
        After Ctrl-C, at the latest when the converter is done: some of them swallow it.
    """
    try:
        with _interruptible(), quiet():
            yield
    except EdgeGenreError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"{what}: {reason}") from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt behind the body if Ctrl-C came in it and somebody caught the one raised there."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception:
        if not seen:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        raise KeyboardInterrupt
