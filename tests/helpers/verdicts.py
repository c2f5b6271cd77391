"""Answers of made-up networks for tests of the acceptance gate."""

from __future__ import annotations

import numpy as np

from edgegenre_export import AcceptanceReport, Limits, ReferenceTracks
from edgegenre_export.accept.verdict import judge
from edgegenre_runtime.network.task import make_task

TASK = make_task("single", ("x", "y"))


def made_up(n: int, flipped: int, truth: bool = True) -> tuple[ReferenceTracks, np.ndarray, np.ndarray]:
    """``n`` tracks of one window answered 0 before, of which the first are answered 1 now."""
    before = np.tile(np.float32([0.9, 0.1]), (n, 1))
    now = before.copy()
    now[:flipped] = now[:flipped, ::-1]
    windows = tuple(np.zeros((1, 2, 2), np.int8) for _ in range(n))
    names = tuple(f"t{i:03}" for i in range(n))
    return ReferenceTracks(names, windows, np.zeros(n, np.int64) if truth else None, "made up", "x"), before, now


def refused_report() -> AcceptanceReport:
    tracks, before, now = made_up(290, 9)
    verdict = judge("model_int8.tflite", "the float network", before, now, tracks, TASK, Limits())
    return AcceptanceReport("made up", "0" * 16, Limits(), (verdict,))
