"""Drawing calibration windows: from a feature cache's training split, or from rendered toy music."""

from __future__ import annotations

import numpy as np

from edgegenre.data.feature_cache import FeatureCache, crop
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize

from .calibration import Calibration
from .toy_music import toy_pieces

__all__ = ["draw_calibration", "toy_calibration"]


def draw_calibration(cache: FeatureCache, tables: Tables, n_windows: int, seed: int, source: str) -> Calibration:
    """Draw windows from the training tracks, class by class in turn.

    Parameters
    ----------
    cache
        Feature cache with a split.
    tables
        The front-end it comes from.
    n_windows
        How many windows.
    seed
        Seed of the draw; the indices are recorded.
    source
        Where the cache came from, for the record.

    Returns
    -------
    Calibration
        ``indices`` are the first frames of the windows in ``cache.frames``.

    Raises
    ------
    DataError
        If there is no training track, all are of one class, or the windows are all silent.
    """
    tracks, rng = cache.tracks_of("train"), np.random.default_rng(seed)
    if not len(tracks):
        raise DataError(f"{source}: no training tracks to calibrate with")
    by_class = [rng.permutation(tracks[cache.y[tracks] == label]) for label in np.unique(cache.y[tracks])]
    if len(by_class) == 1:
        only = cache.labels[int(cache.y[tracks[0]])]
        raise DataError(
            f"{source}: all {len(tracks)} training tracks are of one class ({only}); scales drawn from them do not fit "
            "the others: calibrate on every class"
        )
    windows, indices = [], []
    for k in range(n_windows):
        members = by_class[k % len(by_class)]
        track = int(members[(k // len(by_class)) % len(members)])
        frames, width = cache.track(track), tables.spec.frames_per_window
        start = int(rng.integers(max(frames.shape[1] - width, 0) + 1))
        windows.append(normalize(crop(frames, start, width), tables).cells)
        indices.append(int(cache.offsets[track]) + start)
    return Calibration(np.stack(windows), tuple(indices), seed, f"the training split of {source}", tables.spec_hash)


def toy_calibration(tables: Tables, n_windows: int, seed: int, processes: int = 1) -> Calibration:
    """Render windows of toy music for a checkpoint whose own data cannot be shipped; ``processes`` share the work."""
    spec = tables.spec
    pieces = toy_pieces(n_windows, 1000 * seed, spec.window_s + 0.1, spec.sample_rate_hz, processes)
    frames = (log_mel(pcm, tables).frames_q9[:, : spec.frames_per_window] for pcm in pieces)
    windows = np.stack([normalize(window, tables).cells for window in frames])
    return Calibration(windows, tuple(range(n_windows)), seed, "rendered toy music", tables.spec_hash)
