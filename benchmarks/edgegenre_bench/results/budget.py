"""The figures of a result against its device's budget."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .device_profiles import Budget, load_device
from .result import MODEL, stage_of

__all__ = ["Spent", "spent_on"]

_NONE = Budget(*[math.inf] * 4)


@dataclasses.dataclass(frozen=True, slots=True)
class Spent:
    """One figure of a result beside its budget.

    Attributes
    ----------
    what
        Name of the figure with its unit.
    value
        Measured or estimated.
    allowed
        Budget; infinite where the result names no device.
    is_estimate
        Whether it was computed from instructions and not measured.
    """

    what: str
    value: float
    allowed: float
    is_estimate: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is within the budget; without one everything is."""
        return self.value <= self.allowed


def spent_on(result: dict[str, Any]) -> list[Spent]:
    """Return the figures of a result that its device has budgets for; memory is not known of an emulated board."""
    budget = load_device(result["device"]).budget if result["device"] else _NONE
    model = Spent("model, kB", result["bundle"]["files"][MODEL] / 1e3, budget.model_kb)
    if result["kind"] == "emulated":
        estimate = result["estimate"]
        window_ms, factor = estimate["window_ms"], estimate["real_time_factor"]
        return [
            Spent("window, ms", window_ms, budget.window_p99_ms, is_estimate=True),
            model,
            Spent("real-time factor", factor, budget.real_time_factor, is_estimate=True),
        ]
    window = stage_of(result, "end_to_end")
    return [
        Spent("window p99, ms", math.inf if window is None else window["p99_ms"], budget.window_p99_ms),
        Spent("memory, MB", result["rss_mb"], budget.rss_mb),
        model,
        Spent("real-time factor", result["stream"]["real_time_factor"], budget.real_time_factor),
    ]
