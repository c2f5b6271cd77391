"""The front-end against librosa: difference of the int8 cells, and time side by side in one process."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend import Tables, log_mel, normalise
from edgegenre_runtime.sources import file_blocks

from .parity import librosa_windows

__all__ = ["FrontendCost", "FrontendDifference", "compare_cells", "format_frontend", "time_both"]


@dataclasses.dataclass(frozen=True, slots=True)
class FrontendDifference:
    """How the int8 cells of a clip differ from librosa's in float64, quantised once.

    Attributes
    ----------
    name
        File name.
    mean_steps, largest_steps
        Mean and largest difference of a cell, in int8 steps (80/255 dB).
    within_one
        Share of cells that differ by at most one step.
    """

    name: str
    mean_steps: float
    largest_steps: int
    within_one: float


@dataclasses.dataclass(frozen=True, slots=True)
class FrontendCost:
    """Median times of interleaved runs over the same window of audio, in ms, and its length in seconds."""

    numpy_ms: float
    librosa_ms: float
    audio_s: float
    repeats: int


def compare_cells(clip: Path, tables: Tables) -> FrontendDifference:
    """Compare every half-overlapping window of a clip."""
    spec = tables.spec
    pcm = np.concatenate(list(file_blocks(clip, spec.sample_rate_hz)))
    reference = np.clip(np.rint(librosa_windows(pcm, spec) * (255 / spec.top_db)) - 128, -128, 127)
    frames, width = log_mel(pcm, tables).frames_q9, spec.frames_per_window
    starts = range(0, len(reference) * (width // 2), width // 2)
    ours = np.stack([normalise(frames[:, start : start + width], tables).cells for start in starts])
    steps = np.abs(reference - ours)
    return FrontendDifference(clip.name, float(steps.mean()), int(steps.max()), float((steps <= 1).mean()))


def time_both(tables: Tables, repeats: int = 21) -> FrontendCost:
    """Time one window of seeded noise through the NumPy reference and through librosa, turn by turn."""
    pcm = np.random.default_rng(0).integers(-9000, 9000, tables.spec.window_samples).astype(np.int16)

    def ours(pcm: npt.NDArray[np.int16]) -> None:
        normalise(log_mel(pcm, tables).frames_q9, tables)

    def theirs(pcm: npt.NDArray[np.int16]) -> None:
        librosa_windows(pcm, tables.spec)

    times = [(_ms(ours, pcm), _ms(theirs, pcm)) for _ in range(repeats + 2)][2:]
    numpy_ms, librosa_ms = (statistics.median(column) for column in zip(*times, strict=True))
    return FrontendCost(numpy_ms, librosa_ms, tables.spec.window_s, repeats)


def _ms(function: Callable[[npt.NDArray[np.int16]], None], pcm: npt.NDArray[np.int16]) -> float:
    began = time.perf_counter()
    function(pcm)
    return (time.perf_counter() - began) * 1e3


def format_frontend(differences: Sequence[FrontendDifference], cost: FrontendCost) -> str:
    """Return both comparisons as Markdown."""
    lines = ["| clip | cells within 1 step | mean difference, steps | largest |", "|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.within_one:.4%} | {row.mean_steps:.4f} | {row.largest_steps} |" for row in differences
    ]
    ratio = cost.numpy_ms / cost.librosa_ms
    lines.append(
        f"\none window of {cost.audio_s:.1f} s, medians of {cost.repeats} interleaved runs: NumPy reference "
        f"{cost.numpy_ms:.1f} ms, librosa float64 {cost.librosa_ms:.1f} ms ({ratio:.1f} times librosa's time)"
    )
    return "\n".join(lines)
