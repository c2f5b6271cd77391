"""A log file of JSON lines that rotates, and that a full disk does not stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

from .records import event_record, json_line, result_record

__all__ = ["RotatingLog"]

_MAX_BYTES = 8 << 20
_KEPT = 4


class RotatingLog:
    """Appends JSON lines to ``path``; at 8 MiB it becomes ``path.1``, that ``path.2``, and so on to 4.

    Parameters
    ----------
    path
        The file; it is made where it is not there.
    source
        Name of the source.
    on_event
        Called with an event when writing fails, and when it works again.
    max_bytes
        Size at which it rotates.

    Raises
    ------
    UsageError
        If the file cannot be opened.
    """

    def __init__(self, path: Path, source: str, on_event: Callable[[Event], None], max_bytes: int = _MAX_BYTES) -> None:
        self._path, self._source, self._on_event, self._max_bytes = path, source, on_event, max_bytes
        self._n_failed = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"--log {path} cannot be written ({(error.strerror or str(error)).lower()})") from error

    def result(self, result: LiveResult) -> None:
        """Write an answer."""
        self._write(json_line(result_record(result, self._source)))

    def event(self, event: Event) -> None:
        """Write an event."""
        if event.kind != "output":  # also said by this very file
            self._write(json_line(event_record(event, self._source)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: str) -> None:
        data = line.encode()
        try:
            self._rotate(len(data))
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError(0, "only a part of the line was written")
        except OSError as error:
            if not self._n_failed:
                reason = (error.strerror or str(error)).lower()
                self._on_event(Event("output", f"{self._path}: cannot be written ({reason}); going on without it"))
            self._n_failed += 1
            return
        if self._n_failed:
            self._on_event(Event("output", f"{self._path}: can be written again; {self._n_failed} lines are missing"))
            self._n_failed = 0

    def _rotate(self, n_bytes: int) -> None:
        state = os.fstat(self._file)
        if not self._path.is_file() or state.st_size == 0 or state.st_size + n_bytes <= self._max_bytes:
            return
        numbered = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, _KEPT + 1))]
        for older, newer in zip(reversed(numbered[1:]), reversed(numbered[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.close(self._file)
        self._file = fresh
