"""The front-end against librosa: difference of the int8 cells, and time side by side in one process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.signal

from edgegenre_runtime.frontend import Tables, log_mel, native, normalize
from edgegenre_runtime.frontend import numpy_reference as mel
from edgegenre_runtime.frontend.decibels import db_to_cells
from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.printable import printable

from ..clips import read_clip_pcm
from ..timing import time_in_turn
from .librosa_path import librosa_windows
from .scipy_mel import scipy_log_mel

__all__ = ["FrontendCost", "FrontendDifference", "cell_differences", "format_frontend", "time_all"]


@dataclasses.dataclass(frozen=True, slots=True)
class FrontendDifference:
    """How the int8 cells of a clip differ from librosa's in float64, quantized once.

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
    """Median time of each pipeline over the same audio, in ms, its length in seconds, and the number of runs."""

    median_ms: dict[str, float]
    audio_s: float
    repeats: int


def cell_differences(clip: Path, tables: Tables) -> FrontendDifference:
    """Compare every half-overlapping window of a clip."""
    spec = tables.spec
    pcm = read_clip_pcm(clip, spec)
    reference = db_to_cells(librosa_windows(pcm, spec), spec.top_db).astype(int)
    frames, width = log_mel(pcm, tables).frames_q9, spec.frames_per_window
    starts = range(0, len(reference) * (width // 2), width // 2)
    ours = np.stack([normalize(frames[:, start : start + width], tables).cells for start in starts])
    steps = np.abs(reference - ours)
    return FrontendDifference(printable(clip.name), float(steps.mean()), int(steps.max()), float((steps <= 1).mean()))


def _pipelines(tables: Tables) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; each runs over one window of the same seeded noise."""
    spec = tables.spec
    pcm = np.random.default_rng(0).integers(-9000, 9000, spec.window_samples).astype(np.int16)
    samples = (pcm / 32768).astype(np.float32)
    shape: dict[str, Any] = {"sr": spec.sample_rate_hz, "n_fft": spec.n_fft, "n_mels": spec.n_mels}
    weights = librosa.filters.mel(**shape, fmin=spec.fmin_hz, fmax=spec.fmax_hz).T.astype(np.float32)
    hann = scipy.signal.get_window("hann", spec.n_fft).astype(np.float32)

    def by_librosa() -> object:
        power = librosa.feature.melspectrogram(y=samples, **shape, hop_length=spec.hop_samples, center=False)
        return librosa.power_to_db(power, ref=np.max, top_db=spec.top_db)

    pipelines: dict[str, Callable[[], object]] = {
        "librosa (float32)": by_librosa,
        "scipy (float32)": lambda: scipy_log_mel(samples, hann, weights, spec.hop_samples),
        "NumPy reference": lambda: mel.log_mel(pcm, tables),
    }
    if native.load() is not None:
        path = native.NativeMelStream(tables).path
        pipelines[f"C implementation ({path})"] = lambda: native.log_mel(pcm, tables)
    return pipelines


def time_all(tables: Tables, repeats: int = 41) -> FrontendCost:
    """Time one window through every pipeline, in turn in this process (OMP_NUM_THREADS=1 for one thread)."""
    pipelines = _pipelines(tables)
    timings = time_in_turn({(name, 1): run for name, run in pipelines.items()}, warm_up=2, repeats=repeats)
    return FrontendCost({timing.stage: timing.p50_ms for timing in timings}, tables.spec.window_s, repeats)


def format_frontend(differences: Sequence[FrontendDifference], cost: FrontendCost) -> str:
    """Return both comparisons as Markdown."""
    clips = [(r.name, f"{r.within_one:.4%}", f"{r.mean_steps:.4f}", r.largest_steps) for r in differences]
    longest = cost.median_ms["librosa (float32)"]
    times = [(name, f"{ms:.2f}", f"{longest / ms:.2f}") for name, ms in cost.median_ms.items()]
    return "\n\n".join(
        [
            markdown_table(("clip", "cells within 1 step", "mean difference, steps", "largest"), clips),
            f"one window of {cost.audio_s:.1f} s to log-mel, medians of {cost.repeats} interleaved runs:",
            markdown_table(("front-end", "ms", "librosa's time over its"), times),
        ]
    )
