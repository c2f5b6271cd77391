"""Is this window music at all? A few statistics of its cells, and a regression on them that a bundle brings along.

The statistics are of movement (how the level and the bands rise and fall), of tone (how sharp the spectrum is, and how
long its lines stay) and of rhythm, not of single bands or of the level, so that room, microphone and gain matter
little. The regression weighs each of them and its square: music lies between a hum, which never moves, and knocks.
Its values are fitted by ``edgegenre calibrate``. NumPy's float32; the same window gives the same answer from a file
and from a microphone, but no bits are promised across machines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import FrontendSpec, Window
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cells_to_db

__all__ = ["DETECTOR_FILE", "DETECTOR_KEY", "STATISTICS", "MusicDetector", "window_statistics"]

DETECTOR_FILE, DETECTOR_KEY = "music_detector.json", "music_detector"
"""The bundle's file of the fitted detector, and the key of the same in a checkpoint's record."""

STATISTICS = (
    "deviation_median_db",
    "deviation_high_db",
    "floor_share",
    "deviation_all_db",
    "level_deviation_db",
    "level_dips_db",
    "level_peaks_db",
    "detail_db",
    "detail_deviation_db",
    "tone_70_ms",
    "tone_280_ms",
    "tone_1100_ms",
    "steady_lines",
    "rhythm",
    "movement_db",
    "onset_deviation_db",
    "togetherness",
    "spectrum_deviation_db",
    "spectrum_roughness_db",
)
"""What :func:`window_statistics` returns, in its order."""

_DAMAGED = "the bundle's music detector is damaged, or of another edgegenre: export the bundle again"
_DETAIL_BANDS = 9
_LARGEST = 4.0
_STEADY_DB = 3.0


def window_statistics(cells: npt.NDArray[np.int8], spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return the :data:`STATISTICS` of a window's cells.

    Parameters
    ----------
    cells
        int8 [n_mels, frames_per_window].
    spec
        The front-end, for top_db and the time from frame to frame.

    Returns
    -------
    numpy.ndarray
        float64 [len(STATISTICS)], finite.
    """
    db = cells_to_db(cells, spec.top_db)
    M, T = db.shape
    level, bands, deviation = db.mean(axis=0), db.mean(axis=1), db.std(axis=1)
    sounding = 2 * np.count_nonzero(cells > CELL_ZERO_POINT, axis=1) > T
    detail = _detail(db)
    size = np.sqrt((detail * detail).mean(axis=0))
    lines = detail / (size + 1e-3)
    tone = [float((lines[:, :-lag] * lines[:, lag:]).mean()) for lag in (_lag(s, spec, T) for s in (0.07, 0.28, 1.1))]
    lag = _lag(0.07, spec, T)
    moved = db[:, lag:] - db[:, :-lag]
    onsets = np.maximum(moved, 0).mean(axis=0)
    low, middle, high = np.sort(level)[[T // 10, T // 2, T - 1 - T // 10]]
    values = (
        np.median(deviation[sounding]) if sounding.any() else 0.0,
        np.sort(deviation)[M - 1 - M // 10],
        (db < 1).mean(),
        db.std(),
        level.std(),
        middle - low,
        high - middle,
        size.mean(),
        size.std(),
        *tone,
        detail.mean(axis=1).std() / (size.mean() + 1e-3),
        _rhythm(onsets, spec),
        np.abs(moved).mean(),
        onsets.std(),
        level.std() / (deviation.mean() + 0.1),
        bands.std(),
        np.abs(np.diff(bands)).mean(),
    )
    return np.array(values, np.float64)


def _lag(seconds: float, spec: FrontendSpec, n_frames: int) -> int:
    """Return a time in frames, at least 1 and at most half a window."""
    return min(max(round(seconds * spec.sample_rate_hz / spec.hop_samples), 1), n_frames // 2)


def _detail(db: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what stands out of each frame's smooth spectrum, float32 [n_mels, T]."""
    half = _DETAIL_BANDS // 2
    rows = np.clip(np.arange(-half - 1, len(db) + half), 0, len(db) - 1)
    sums = np.cumsum(db[rows], axis=0, dtype=np.float32)
    detail: npt.NDArray[np.float32] = db - (sums[_DETAIL_BANDS:] - sums[:-_DETAIL_BANDS]) / np.float32(_DETAIL_BANDS)
    return detail


def _rhythm(onsets: npt.NDArray[np.float32], spec: FrontendSpec) -> float:
    """Return the highest autocorrelation of the onsets 0.25 to 1.2 s apart, -1 to 1."""
    centered = onsets - onsets.mean()
    n = len(centered)
    correlation = np.correlate(centered, centered, "full")[n - 1 :] / ((centered * centered).sum() + 1e-3)
    first = max(_lag(0.25, spec, n), 2)
    return float(correlation[first : max(_lag(1.2, spec, n), first + 1)].max())


@dataclasses.dataclass(frozen=True, slots=True)
class MusicDetector:
    """A regression on the statistics of a window and on their squares.

    Attributes
    ----------
    center, scale
        What is taken off each statistic, and what it is divided by; then it is clipped to ±4.
    weights
        Of the standardized statistics, then of their squares.
    bias
        What is added; a window whose sum is below 0 is not music.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def terms(self, statistics: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what is weighed for float64 [..., n], float64 [..., 2 n]."""
        one = np.clip((statistics - np.array(self.center)) / np.array(self.scale), -_LARGEST, _LARGEST)
        return np.concatenate([one, one * one], axis=-1)

    def score(self, statistics: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the weighed sum for float64 [..., n], float64 [...]."""
        total: npt.NDArray[np.float64] = self.terms(statistics) @ np.array(self.weights) + self.bias
        return total

    def hears_music(self, window: Window, spec: FrontendSpec) -> bool:
        """Return whether a window is music, as far as the statistics tell."""
        return bool(self.score(window_statistics(window.cells, spec)) >= 0)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready: of each statistic center, scale, weight and its square's weight; and the bias."""
        return {"bias": self.bias, "statistics": dict(zip(STATISTICS, self.rows(), strict=True))}

    def rows(self) -> list[list[float]]:
        """Return center, scale, weight and its square's weight of each statistic, in their order."""
        n = len(STATISTICS)
        columns = (self.center, self.scale, self.weights[:n], self.weights[n:])
        return [list(row) for row in zip(*columns, strict=True)]

    @classmethod
    def of(cls, entry: Mapping[str, Any] | None) -> MusicDetector:
        """Return the detector of :meth:`to_dict`; None gives the one that takes for music what is no steady noise.

        The standard deviation over time of the level of a mel band is 2.1 dB in the median band for Gaussian noise of
        any color, and at least 4 dB for the windows of the GTZAN clips that were looked at; the border is 3 dB. Bands
        that lie at the window's floor do not count.

        Raises
        ------
        BundleError
            If it is of other statistics, or damaged.
        """
        n = len(STATISTICS)
        if entry is None:
            return cls((_STEADY_DB, *[0.0] * (n - 1)), (1.0,) * n, (1.0, *[0.0] * (2 * n - 1)), 0.0)
        try:
            rows = [[float(x) for x in entry["statistics"][name]] for name in STATISTICS]
            bias, n_given = float(entry["bias"]), len(entry["statistics"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(_DAMAGED) from error
        if (
            n_given != n
            or any(len(row) != 4 for row in rows)
            or not np.isfinite([bias, *(x for row in rows for x in row)]).all()
        ):
            raise BundleError(_DAMAGED)
        center, scale, weights, squares = (tuple(column) for column in zip(*rows, strict=True))
        if min(scale) <= 0:
            raise BundleError(_DAMAGED)
        return cls(center, scale, weights + squares, bias)
