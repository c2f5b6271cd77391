"""How long each stage takes, in percentiles over the latest results, in flat memory."""

from __future__ import annotations

import numpy as np

__all__ = ["STAGES", "Latency"]

STAGES = ("capture", "mel", "network", "out")
"""Waiting for the work after the last sample arrived; the front-end; the network; writing the answer."""

_CAPACITY = 4096
_PERCENTILES = (50, 90, 99)


class Latency:
    """The last 4096 results' times in ms."""

    def __init__(self) -> None:
        self._ms = np.zeros((_CAPACITY, len(STAGES)), dtype=np.float32)
        self._count = 0

    def add(self, *stages_ms: float) -> None:
        """Take one result's times in ms, in the order of :data:`STAGES`."""
        self._ms[self._count % _CAPACITY] = stages_ms
        self._count += 1

    def percentiles_ms(self) -> dict[str, tuple[float, ...]]:
        """Return p50, p90 and p99 in ms by stage, and of their sum as ``total``; empty without a result."""
        latest = self._ms[: min(self._count, _CAPACITY)]
        if not len(latest):
            return {}
        columns = {**dict(zip(STAGES, latest.T, strict=True)), "total": latest.sum(axis=1)}
        return {name: tuple(np.percentile(column, _PERCENTILES).tolist()) for name, column in columns.items()}

    def describe(self) -> str:
        """Return the percentiles on one line."""
        parts = (f"{name} {p50:.1f}/{p90:.1f}/{p99:.1f}" for name, (p50, p90, p99) in self.percentiles_ms().items())
        return "latency p50/p90/p99 in ms: " + (", ".join(parts) or "no results yet")
