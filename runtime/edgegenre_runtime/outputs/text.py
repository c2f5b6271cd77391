"""Lines on standard output, as text or JSON; events as text go to standard error."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import TextIO

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.network.task import answer_text
from edgegenre_runtime.printable import printable

from .line_writer import stream_writer
from .records import event_record, json_line, result_record

__all__ = ["JsonLines", "TextLines", "end_when_reader_leaves", "print_message"]


def print_message(message: str, errors: TextIO) -> None:
    """Print a message for people; where standard error is full or closed it is lost, which stops nothing."""
    with contextlib.suppress(OSError, ValueError):
        errors.write(f"edgegenre-run: {printable(message)}\n")
        errors.flush()


class JsonLines:
    """One JSON object per line; events are also printed on ``errors`` for people."""

    name = "standard output"

    def __init__(self, stream: TextIO, errors: TextIO, source: str) -> None:
        self._stream, self._errors, self._source = stream, errors, source
        self._lines = stream_writer(stream, "utf-8")

    def result(self, result: LiveResult) -> None:
        """Write an answer."""
        with end_when_reader_leaves(self._stream):
            self._lines.write(json_line(result_record(result, self._source, embedding=True)))

    def event(self, event: Event) -> None:
        """Write an event."""
        print_message(event.message, self._errors)
        with end_when_reader_leaves(self._stream):
            self._lines.write(json_line(event_record(event, self._source)))

    def close(self) -> None:
        """Nothing is buffered."""


class TextLines:
    """One plain line per answer."""

    name = "standard output"

    def __init__(self, stream: TextIO, errors: TextIO) -> None:
        self._stream, self._errors = stream, errors
        self._lines = stream_writer(stream)

    def result(self, result: LiveResult) -> None:
        """Write an answer."""
        ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])[:3]
        notes = [f"lost {result.dropped_samples} samples"] * bool(result.dropped_samples)
        notes += [f"skipped {result.skipped_windows} windows"] * bool(result.skipped_windows)
        notes += ["short of a window"] * result.is_repeated
        parts = [time.strftime("%H:%M:%S", time.localtime(result.unix_s)), answer_text(result.label, result.labels)]
        if ranked:
            parts.append("[" + "  ".join(f"{label} {p:.2f}" for label, p in ranked) + "]")
        parts.append(f"{result.level_dbfs:.0f} dBFS")
        if notes:
            parts.append(f"({', '.join(notes)})")
        with end_when_reader_leaves(self._stream):
            self._lines.write(printable("  ".join(parts)) + "\n")

    def event(self, event: Event) -> None:
        """Print an event."""
        print_message(event.message, self._errors)

    def close(self) -> None:
        """Nothing is buffered."""


@contextlib.contextmanager
def end_when_reader_leaves(stream: TextIO) -> Iterator[None]:
    """Where the reader of a pipe has left (``| head``), end as SIGTERM does, and write to nowhere meanwhile."""
    try:
        yield
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        signal.raise_signal(signal.SIGTERM)
