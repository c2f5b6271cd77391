"""Fit of the detector that tells music from what is none: a regression on the statistics of windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgegenre.augment.spectrogram import AugmentConfig, draw_window
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.data.windows import track_records
from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.music_statistics import window_statistics
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, normalize

__all__ = ["WindowSet", "fit_detector", "window_set"]

_INVERSE_PENALTY = 0.01
_CHANGES = AugmentConfig(
    stretch=0.1, semitones=1.0, color_db=5.0, band_limit=0.3, noise=0.5, snr_low_db=10.0, snr_high_db=40.0
)
"""What rooms and microphones do: every window is also learned once so changed."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class WindowSet:
    """Statistics of windows that are not silence: as they are, and changed; which class each is of.

    Attributes
    ----------
    plain, changed
        float64 [n, n_statistics].
    y
        int64 [n].
    """

    plain: npt.NDArray[np.float64]
    changed: npt.NDArray[np.float64]
    y: npt.NDArray[np.int64]


def window_set(cache: FeatureCache, tracks: npt.NDArray[np.int64], tables: Tables, seed: int = 0) -> WindowSet:
    """Measure the windows of tracks, and as many drawn from them and changed; :class:`DataError` if all are silence."""
    spec, rng = tables.spec, np.random.default_rng(seed)
    plain, changed, y = [], [], []
    for track in tracks:
        for window in track_records(cache, int(track), tables):
            if window.is_silence:
                continue
            drawn = normalize(draw_window(cache.track(int(track)), _CHANGES, tables, rng), tables)
            plain.append(window_statistics(window.cells, spec))
            changed.append(window_statistics(drawn.cells, spec))
            y.append(int(cache.y[track]))
    if not plain:
        raise DataError("the tracks are silence alone: there is nothing to tell music by")
    return WindowSet(np.array(plain), np.array(changed), np.array(y, np.int64))


def fit_detector(
    music: Sequence[WindowSet], sounds: WindowSet, limits: Sequence[WindowSet], most_lost: float
) -> MusicDetector:
    """Fit the regression, and move its limit to what music may lose.

    Parameters
    ----------
    music
        Sets to learn from; each weighs the same.
    sounds
        Windows that are no music; each of its classes weighs the same.
    limits
        Sets of music that set the limit, best not learned from.
    most_lost
        Share of a set's windows that may be taken for noise, in the mean over ``limits``.
    """
    from sklearn.linear_model import LogisticRegression

    sets = [*music, sounds]
    x = np.concatenate([part for one in sets for part in (one.plain, one.changed)])
    center, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    standard = MusicDetector(tuple(center.round(5)), tuple(scale.round(5)), (0.0,) * (2 * len(center)), 0.0)
    shares = [np.full(len(one.y), 0.5 / len(music) / len(one.y)) for one in music]
    counts = np.bincount(sounds.y)
    shares.append(0.5 / (counts[sounds.y] * np.count_nonzero(counts)))
    weights = np.concatenate([part for one in shares for part in (one, one)])
    is_music = np.concatenate([np.full(2 * len(one.y), one is not sounds) for one in sets])
    regression = LogisticRegression(C=_INVERSE_PENALTY, max_iter=3000)
    regression.fit(standard.terms(x), is_music, sample_weight=weights * (len(x) / weights.sum()))
    fitted = dataclasses.replace(standard, weights=tuple(regression.coef_[0].round(5).tolist()))
    limit = np.mean([np.quantile(fitted.score(one.plain), most_lost) for one in limits])
    return dataclasses.replace(fitted, bias=-round(float(limit), 5))
