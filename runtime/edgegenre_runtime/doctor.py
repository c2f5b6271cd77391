"""``edgegenre-run --doctor``: what this machine has and whether it keeps up, in a few lines and a verdict."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from .classifier import GenreClassifier
from .frontend import Clip
from .frontend.executor import MelStream, active_executor

__all__ = ["examine"]


def examine(classifier: GenreClassifier) -> Iterator[str]:
    """Yield one line a finding, and the verdict last.

    The real-time factor is the time that one network window takes, from PCM to answer, over the audio that it
    brings (half a window), on one thread.
    """
    spec = classifier.tables.spec
    executor = active_executor()
    path = f", {MelStream(classifier.tables).path}" if executor == "c" else ""
    yield f"edgegenre     {version('edgegenre')}, Python {platform.python_version()}, numpy {np.__version__}"
    yield f"machine       {platform.machine()}, {platform.system()} {platform.release()}"
    yield f"front-end     {executor}{path} ({spec.name}, hash {classifier.tables.spec_hash[:12]})"
    yield f"interpreter   ai-edge-litert {_version('ai-edge-litert')}"
    yield f"bundle        {classifier.bundle.root}, {len(classifier.labels)} classes"
    noise = np.random.default_rng(0).integers(-3000, 3000, spec.window_samples).astype(np.int16)
    clip = Clip(noise, spec.sample_rate_hz)
    classifier.predict_clip(clip)
    began = time.perf_counter()
    classifier.predict_clip(clip)
    factor = (time.perf_counter() - began) / (spec.window_s / 2)
    keeps_up = factor < 0.5
    yield f"real time     {factor:.4f} of the time there is"
    yield "verdict       " + ("ready" if keeps_up else "too slow to listen without losing audio")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
