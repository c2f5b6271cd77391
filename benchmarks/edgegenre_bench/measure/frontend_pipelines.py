"""What runs inside the emulated board: the front-end's pipelines, each between two marks that the counter sees.

Run as a script with two files: ``job.npz`` (pcm int16 [n], hann float32 [n_fft], weights float32 [n_bins, n_mels]) and
the JSON to write. It imports numpy, scipy and ``edgegenre_runtime`` alone.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from edgegenre_runtime.frontend import Tables, native, released
from edgegenre_runtime.frontend import numpy_reference as mel

__all__ = ["BRACKETS", "mark", "run_marked", "scipy_log_mel"]

BRACKETS = ("nothing", "C implementation", "NumPy reference", "scipy (float32)")
"""Name of each counted region; region ``i`` lies between the marks ``2 i`` and ``2 i + 1``."""

_MAGIC = 0x5157  # as in c/count_instructions.c


def mark(tag: int) -> None:
    """Tell the counter that the guest is here; the kernel refuses the call and nothing else happens."""
    with contextlib.suppress(OSError):
        os.getpriority(_MAGIC, tag)


def scipy_log_mel(
    samples: npt.NDArray[np.float32], hann: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], hop_samples: int
) -> npt.NDArray[np.float32]:
    """Return log-mel frames in dB, float32 [n_frames, n_mels], the way one would write it with scipy.

    Parameters
    ----------
    samples
        float32 [n], full scale 1.
    hann
        Window, float32 [n_fft].
    weights
        Mel filters, float32 [n_fft // 2 + 1, n_mels].
    hop_samples
        Samples from frame to frame.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(hann))[::hop_samples] * hann
    bins = scipy.fft.rfft(frames, axis=1, workers=1)
    decibels: npt.NDArray[np.float32] = 10 * np.log10(np.maximum((bins.real**2 + bins.imag**2) @ weights, 1e-10))
    return decibels


def run_marked(pipelines: Sequence[Callable[[], object]]) -> None:
    """Run nothing, then every pipeline, each once to warm up and once between its marks."""
    for index, pipeline in enumerate((lambda: None, *pipelines)):
        pipeline()
        mark(2 * index)  # first call: its own code is translated and warm
        gc.collect()
        gc.disable()
        mark(2 * index)
        pipeline()
        mark(2 * index + 1)
        gc.enable()


def _count(job: Path, tables: Tables) -> dict[str, object]:
    """Run every pipeline once to warm up and once between its marks; returns what the host checks."""
    with np.load(job) as arrays:
        pcm, hann, weights = arrays["pcm"], arrays["hann"], arrays["weights"]
    samples = pcm.astype(np.float32) / 32768
    pipelines: tuple[Callable[[], object], ...] = (
        lambda: native.log_mel(pcm, tables),
        lambda: mel.log_mel(pcm, tables),
        lambda: scipy_log_mel(samples, hann, weights, tables.spec.hop_samples),
    )
    run_marked(pipelines)
    by_c, by_numpy = native.log_mel(pcm, tables), mel.log_mel(pcm, tables)
    return {
        "machine": platform.machine(),
        "path": native.NativeMelStream(tables).path,
        "n_frames": int(by_c.frames_q9.shape[1]),
        "is_same": bool(np.array_equal(by_c.frames_q9, by_numpy.frames_q9)),
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_count(Path(sys.argv[1]), released("seed3s"))), encoding="utf-8")
