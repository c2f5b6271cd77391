"""Answers as the live path gives them, for tests of outputs."""

from __future__ import annotations

import numpy as np

from edgegenre_runtime.live.analyzer import LiveResult


def answer(
    label: str = "jazz", p: float = 0.75, dropped: int = 0, skipped: int = 0, unix_s: float = 1.7e9
) -> LiveResult:
    """Return an answer with two classes, one of which has a name that is hostile to HTML and labels."""
    cells = np.full((128, 128), -128, np.int8)
    cells[:16, -16:] = 127  # the newest frames, low bands
    probabilities = {"jazz": p, 'ro"<ck>': round(1 - p, 4)} if label not in ("silence", "noise") else {}
    return LiveResult(
        label=label, probabilities=probabilities, start_s=1.0, end_s=9.94, unix_s=unix_s, rate_hz=48000,
        captured_samples=480_000, dropped_samples=dropped, skipped_windows=skipped, level_dbfs=-23.4,
        is_repeated=False, capture_ms=0.1, mel_ms=1.0, network_ms=2.0, cells=cells,
    )  # fmt: skip
