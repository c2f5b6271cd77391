"""What runs inside the emulated board to count the front-end: its implementations and scipy's, each between marks.

Run as ``python -m edgegenre_bench.emulate.guest.frontend JOB.npz OUT.json``, the job holding pcm int16 [n], hann
float32 [n_fft] and weights float32 [n_bins, n_mels].
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgegenre_bench.measure.peers.scipy_mel import scipy_log_mel
from edgegenre_runtime.frontend import Tables, native, numpy_reference, released

from .marks import run_marked

__all__ = ["REGIONS"]

REGIONS = ("C implementation", "NumPy reference", "scipy (float32)")
"""Name of each counted region."""


def _count(job: Path, tables: Tables) -> dict[str, object]:
    """Run every region between its marks; returns what the host checks."""
    with np.load(job) as arrays:
        pcm, hann, weights = arrays["pcm"], arrays["hann"], arrays["weights"]
    samples = pcm.astype(np.float32) / 32768
    regions: tuple[Callable[[], object], ...] = (
        lambda: native.log_mel(pcm, tables),
        lambda: numpy_reference.log_mel(pcm, tables),
        lambda: scipy_log_mel(samples, hann, weights, tables.spec.hop_samples),
    )
    run_marked(regions)
    by_c, by_numpy = native.log_mel(pcm, tables), numpy_reference.log_mel(pcm, tables)
    return {
        "machine": platform.machine(),
        "path": native.NativeMelStream(tables).path,
        "n_frames": int(by_c.frames_q9.shape[1]),
        "is_same": bool(np.array_equal(by_c.frames_q9, by_numpy.frames_q9)),
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_count(Path(sys.argv[1]), released("seed3s"))), encoding="utf-8")
