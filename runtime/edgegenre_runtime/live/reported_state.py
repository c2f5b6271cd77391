"""A state that may flap: its first changes are reported at once, later ones only now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["ReportedState"]


class ReportedState:
    """Decides which changes of a state are worth an event.

    Parameters
    ----------
    max_changes, period_s
        As many changes are reported within so many seconds; then the state reported stays, and is brought up to date
        when the oldest of them is that old.
    clock
        Returns seconds; a test passes its own.

    Attributes
    ----------
    reported
        The state that was reported last; False at the start.
    """

    def __init__(
        self, max_changes: int = 4, period_s: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_changes, self._period_s, self._clock = max_changes, period_s, clock
        self._changed_s: deque[float] = deque()
        self.reported = False

    def update(self, state: bool) -> bool:
        """Take the state of now; returns whether it differs from the one reported and is to be reported."""
        if state == self.reported:
            return False
        now_s = self._clock()
        while self._changed_s and now_s - self._changed_s[0] >= self._period_s:
            self._changed_s.popleft()
        if len(self._changed_s) >= self._max_changes:
            return False
        self._changed_s.append(now_s)
        self.reported = state
        return True
