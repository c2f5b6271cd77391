"""An output that fails is reported once, left out while it fails, and ends nothing."""

from __future__ import annotations

from collections.abc import Callable

from .analyzer import LiveResult
from .events import Event
from .output import Output
from .reported_state import ReportedState

__all__ = ["GuardedOutput"]


class GuardedOutput:
    """An :class:`~.output.Output` that never raises.

    Parameters
    ----------
    output
        The output.
    on_event
        Called with an event at the first failure, and when the output works again.
    """

    def __init__(self, output: Output, on_event: Callable[[Event], None]) -> None:
        self._output, self._on_event = output, on_event
        self.name = output.name
        self._failing: set[str] = set()  # methods; one that works says nothing about the other
        self._n_missing = 0
        self._state = ReportedState()

    def result(self, result: LiveResult) -> None:
        """Hand over an answer."""
        self._call("result", result)

    def event(self, event: Event) -> None:
        """Hand over an event."""
        self._call("event", event)

    def close(self) -> None:
        """Close the output."""
        try:
            self._output.close()
        except Exception as error:
            self._on_event(Event("output", f"{self.name} could not be closed ({_reason(error)})"))

    def _call(self, method: str, argument: LiveResult | Event) -> None:
        try:
            getattr(self._output, method)(argument)
        except Exception as error:  # whatever it is, the other outputs go on
            self._failing.add(method)
            self._n_missing += 1
            if self._state.update(True):  # this event comes back to this output, and fails silently
                message = f"{self.name} cannot be written ({_reason(error)}); going on without it"
                self._on_event(Event("output", message))
            return
        self._failing.discard(method)
        if not self._failing and self._state.update(False):
            n_missing, self._n_missing = self._n_missing, 0
            self._on_event(Event("output", f"{self.name} can be written again; {n_missing} lines are missing"))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"{type(error).__name__}: {error}"
