"""A log file of JSON lines that rotates by itself, and that another program may rotate, move or delete.

As :class:`logging.handlers.WatchedFileHandler` it opens the path again where the file there is another one. It is
not built on that class: logging's handlers buffer, so that the rest of a line that a full disk cut off would be
written before the next line, and a line could be there twice.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

from .line_writer import LineWriter, descriptor_writer
from .records import event_record, json_line, result_record

__all__ = ["RotatingLog"]

_MAX_BYTES = 8 << 20
_BACKUP_COUNT = 4


class RotatingLog:
    """Appends JSON lines to ``path``; at 8 MiB it becomes ``path.1``, that ``path.2``, and so on to 4.

    Parameters
    ----------
    path
        The file; created if missing.
    source
        Name of the source.
    max_bytes
        Size at which it rotates.

    Raises
    ------
    UsageError
        If the file cannot be opened.
    """

    def __init__(self, path: Path, source: str, max_bytes: int = _MAX_BYTES) -> None:
        self._path, self._source, self._max_bytes = path.absolute(), source, max_bytes
        self.name = f"log {path}"
        self._descriptor = -1
        try:
            self._open()
        except OSError as error:
            raise UsageError(f"--log {path} cannot be written ({(error.strerror or str(error)).lower()})") from error

    def result(self, result: LiveResult) -> None:
        """Write an answer; raises OSError where it cannot."""
        self._write(json_line(result_record(result, self._source)))

    def event(self, event: Event) -> None:
        """Write an event; raises OSError where it cannot."""
        self._write(json_line(event_record(event, self._source)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: str) -> None:
        if not self._is_current():
            self._open()
        self._rotate(len(line.encode()))
        self._lines.write(line)

    def _open(self) -> None:
        """Open the path, then close the file before it."""
        before = self._descriptor
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lines = LineWriter(descriptor_writer(self._descriptor), is_torn=_ends_within_a_line(self._path))
        if before >= 0:
            os.close(before)

    def _is_current(self) -> bool:
        """Return whether the path still leads to the file that is open."""
        try:
            there, ours = self._path.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _rotate(self, n_bytes: int) -> None:
        """Rename the files by one where the next line would make this one too long.

        Where the folder does not allow it, the file grows: the answers matter more.
        """
        state = os.fstat(self._descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size == 0 or state.st_size + n_bytes <= self._max_bytes:
            return
        numbered = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, _BACKUP_COUNT + 1))]
        with contextlib.suppress(OSError):
            for older, newer in zip(reversed(numbered[1:]), reversed(numbered[:-1]), strict=True):
                if newer.exists():
                    newer.replace(older)
            self._open()


def _ends_within_a_line(path: Path) -> bool:
    """Return whether a program that was killed, or a full disk, left a line without its end."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.stat().st_mode) and path.stat().st_size:
            with path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
    return False
