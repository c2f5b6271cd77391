"""The network windows of a cached track, as training and evaluation cut them; no torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend import Tables, Window, normalize

from .feature_cache import FeatureCache, crop

__all__ = ["cut_windows", "track_records", "track_windows", "window_hop_frames", "window_starts"]


def window_hop_frames(frames_per_window: int) -> int:
    """Return how many frames half-overlapping windows are apart."""
    return max(frames_per_window // 2, 1)


def window_starts(n_frames: int, frames_per_window: int) -> list[int]:
    """Return first frames of half-overlapping windows that cover a track (one window for a short track)."""
    last = max(n_frames - frames_per_window, 0)
    return list(range(0, last + 1, window_hop_frames(frames_per_window)))


def track_windows(cache: FeatureCache, track: int, tables: Tables) -> npt.NDArray[np.int8]:
    """Return the half-overlapping network windows of a cached track, int8 [n, n_mels, frames_per_window]."""
    return cut_windows(cache.track(track), tables)


def track_records(cache: FeatureCache, track: int, tables: Tables) -> list[Window]:
    """Return the same windows as records, which know whether they are silence."""
    return _records(cache.track(track), tables)


def cut_windows(frames_q9: npt.NDArray[np.int16], tables: Tables) -> npt.NDArray[np.int8]:
    """Return the half-overlapping network windows of int16 [n_mels, T], int8 [n, n_mels, frames_per_window]."""
    return np.stack([window.cells for window in _records(frames_q9, tables)])


def _records(frames_q9: npt.NDArray[np.int16], tables: Tables) -> list[Window]:
    width = tables.spec.frames_per_window
    return [normalize(crop(frames_q9, at, width), tables) for at in window_starts(frames_q9.shape[1], width)]
