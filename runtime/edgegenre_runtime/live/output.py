"""The outputs of the loop, and the service manager that it reports to; both are passed in."""

from __future__ import annotations

from typing import Protocol

from .analyzer import LiveResult
from .events import Event

__all__ = ["Output", "ServiceNotifier"]


class Output(Protocol):
    """One destination of answers; it is called in the loop's thread and never waits for a network.

    What it raises is reported once as an event, and the loop goes on.

    Attributes
    ----------
    name
        What it is called in messages.
    """

    name: str

    def result(self, result: LiveResult) -> None:
        """Take an answer."""

    def event(self, event: Event) -> None:
        """Take an event."""

    def close(self) -> None:
        """Write what is left and end, within a second."""


class ServiceNotifier(Protocol):
    """The service manager that supervises the program, such as systemd."""

    def send(self, *assignments: str) -> None:
        """Send assignments such as ``READY=1``."""

    def alive(self) -> None:
        """Feed the watchdog; called on every turn of the loop."""
