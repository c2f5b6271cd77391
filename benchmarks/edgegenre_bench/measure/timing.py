"""Time of callables, run in turn in one process, so that what slows the machine slows all of them."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["Timing", "time_in_turn", "yardstick"]

_now_ns = time.perf_counter_ns


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage took.

    Attributes
    ----------
    stage
        ``mel``, ``network``, ``end_to_end``, ``network_litert``, ``yardstick``, or a peer's name.
    threads
        Threads of the network.
    repeats
        Runs measured.
    min_ms
        Time of the fastest run in ms: what the code needs where nothing else disturbs it.
    p50_ms, p90_ms, p99_ms
        Quantiles of the time of a run in ms (of few runs, p99 is the largest).
    """

    stage: str
    threads: int
    repeats: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


def time_in_turn(
    pipelines: Mapping[tuple[str, int], Callable[[], object]],
    warm_up: int,
    repeats: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    now_ns: Callable[[], int] | None = None,
) -> list[Timing]:
    """Run every pipeline once per round, ``warm_up`` rounds unmeasured and ``repeats`` measured.

    Parameters
    ----------
    pipelines
        By stage and threads.
    warm_up, repeats
        Rounds.
    progress
        Called with the rounds done and in all.
    now_ns
        The clock; :func:`time.process_time_ns` for processor time, which leaves out what else the machine does.
    """
    now_ns = now_ns or _now_ns
    times_ms: dict[tuple[str, int], list[float]] = {key: [] for key in pipelines}
    gc.collect()
    gc.disable()
    try:
        for done in range(warm_up + repeats):
            for key, run in pipelines.items():
                began = now_ns()
                run()
                times_ms[key].append((now_ns() - began) / 1e6)
            progress(done + 1, warm_up + repeats)
    finally:
        gc.enable()
    rows = []
    for (stage, threads), found in times_ms.items():
        quantiles = np.quantile(found[warm_up:], (0, 0.5, 0.9, 0.99), method="higher").tolist()
        rows.append(Timing(stage, threads, repeats, *quantiles))
    return rows


def yardstick() -> Callable[[], object]:
    """Return a fixed piece of NumPy work (128 FFTs of 2048 in float64) that other times are divided by.

    The ratio to it changes less from run to run than milliseconds do, since a busy or hot machine slows both.
    """
    samples = np.random.default_rng(0).normal(size=(128, 2048))
    return lambda: np.fft.rfft(samples)
