"""Where the answers go while listening: lines, a terminal view, a log file, MQTT, a status page, clips."""

from __future__ import annotations

from typing import Protocol

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event

__all__ = ["Output"]


class Output(Protocol):
    """One place where answers go; it is called in the thread that made them and never waits for a network."""

    def result(self, result: LiveResult) -> None:
        """Take an answer."""

    def event(self, event: Event) -> None:
        """Take an event."""

    def close(self) -> None:
        """Write what is left and end, within a second."""
