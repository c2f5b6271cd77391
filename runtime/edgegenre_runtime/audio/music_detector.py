"""Is this window music at all? A few statistics of its cells, and a regression on them that a bundle brings along.

The statistics are of movement (how the level and the bands rise and fall), of tone (how sharp the spectrum is, and how
long its lines stay) and of rhythm, not of single bands or of the level, so that room, microphone and gain matter
little. The regression weighs each of them and its square: music lies between a hum, which never moves, and knocks.
Its values are fitted by ``edgegenre calibrate``. :mod:`.music_statistics` has the statistics; the same window gives the
same bits on every machine.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import FrontendSpec, Window

from .music_statistics import STATISTICS, native_score, window_statistics

__all__ = ["DETECTOR_FILE", "DETECTOR_KEY", "MusicDetector"]

DETECTOR_FILE, DETECTOR_KEY = "music_detector.json", "music_detector"
"""The bundle's file of the fitted detector, and the key of the same in a checkpoint's record."""

_DAMAGED = "the bundle's music detector is damaged, or of another edgegenre: export the bundle again"
_LARGEST = 4.0
_STEADY_DB = 3.0


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
        weighed = self.terms(statistics) * np.array(self.weights)
        ordered = np.stack(np.split(weighed, 2, axis=-1), axis=-1).reshape(weighed.shape)  # as C adds them up
        first = np.full((*ordered.shape[:-1], 1), self.bias)
        total: npt.NDArray[np.float64] = np.cumsum(np.concatenate([first, ordered], axis=-1), axis=-1)[..., -1]
        return total

    def hears_music(self, window: Window, spec: FrontendSpec) -> bool:
        """Return whether a window is music, as far as the statistics tell."""
        statistics = window_statistics(window.cells, spec)
        score = native_score(statistics, _rows(self), self.bias)
        return bool((self.score(statistics) if score is None else score) >= 0)

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


@functools.lru_cache(maxsize=8)
def _rows(detector: MusicDetector) -> npt.NDArray[np.float64]:
    """Return what C takes of a detector, float64 [n, 4]."""
    return np.array(detector.rows(), np.float64)
