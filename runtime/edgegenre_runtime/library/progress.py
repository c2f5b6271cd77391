"""How far a scan is, how fast, and when it will be done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Progress"]

_SPAN_S = 60.0  # the rate is that of the latest minute
_STEP_S = 1.0


class Progress:
    """A count with its rate.

    Parameters
    ----------
    n_total
        Files to be done.
    clock
        Returns seconds; for tests.

    Attributes
    ----------
    n_done, n_total
        Files.
    """

    def __init__(self, n_total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.n_done, self.n_total = 0, n_total
        self._clock = clock
        self._points = deque([(clock(), 0)])

    def update(self, n_done: int) -> None:
        """Take the number of files that are done."""
        self.n_done = n_done
        self.n_total = max(self.n_total, self.n_done)  # a folder may grow meanwhile
        now = self._clock()
        if now - self._points[-1][0] >= _STEP_S:
            self._points.append((now, self.n_done))
        while len(self._points) > 1 and now - self._points[1][0] > _SPAN_S:
            self._points.popleft()

    @property
    def rate(self) -> float:
        """Files a second over the latest minute; 0 at the start."""
        then, n_then = self._points[0]
        seconds = self._clock() - then
        return (self.n_done - n_then) / seconds if seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at this rate; None while that is unknown."""
        return (self.n_total - self.n_done) / self.rate if self.rate > 0 else None

    def __str__(self) -> str:
        """Return ``123 of 4567 files, 8.1/s, 9 min left``."""
        left = "" if self.left_s is None else f", {_duration(self.left_s)} left"
        return f"{self.n_done} of {self.n_total} files, {self.rate:.1f}/s{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
