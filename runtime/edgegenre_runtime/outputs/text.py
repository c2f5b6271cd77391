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

from .records import event_record, json_line, result_record

__all__ = ["JsonLines", "TextLines"]


class JsonLines:
    """One JSON object a line, flushed; events too, and these on ``errors`` for people."""

    def __init__(self, stream: TextIO, errors: TextIO, source: str) -> None:
        self._stream, self._errors, self._source = stream, errors, source

    def result(self, result: LiveResult) -> None:
        """Write an answer."""
        with _reader_may_leave(self._stream):
            self._stream.write(json_line(result_record(result, self._source)))
            self._stream.flush()

    def event(self, event: Event) -> None:
        """Write an event."""
        with _reader_may_leave(self._stream):
            self._stream.write(json_line(event_record(event, self._source)))
            self._stream.flush()
        print(f"edgegenre-run: {event.message}", file=self._errors, flush=True)

    def close(self) -> None:
        """Every line was flushed."""


class TextLines:
    """One plain line an answer."""

    def __init__(self, stream: TextIO, errors: TextIO) -> None:
        self._stream, self._errors = stream, errors

    def result(self, result: LiveResult) -> None:
        """Write an answer."""
        ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])[:3]
        notes = [f"lost {result.dropped_samples} samples"] * bool(result.dropped_samples)
        notes += [f"skipped {result.skipped_windows} windows"] * bool(result.skipped_windows)
        notes += ["short of a window"] * result.is_repeated
        shown = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
        line = f"{time.strftime('%H:%M:%S', time.localtime(result.unix_s))}  {result.label}"
        line += (
            f"  [{shown}]" * bool(shown) + f"  {result.level_dbfs:.0f} dBFS" + f"  ({', '.join(notes)})" * bool(notes)
        )
        with _reader_may_leave(self._stream):
            print(line, file=self._stream, flush=True)

    def event(self, event: Event) -> None:
        """Write an event."""
        print(f"edgegenre-run: {event.message}", file=self._errors, flush=True)

    def close(self) -> None:
        """Every line was flushed."""


@contextlib.contextmanager
def _reader_may_leave(stream: TextIO) -> Iterator[None]:
    """Where the reader of a pipe is gone (``| head``), end as SIGTERM does, and write to nowhere meanwhile."""
    try:
        yield
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        signal.raise_signal(signal.SIGTERM)
