"""Probabilities over time: an exponential mean, so that one odd second does not change the answer."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["DEFAULT_SMOOTH_S", "Smoother", "smooth_track"]

DEFAULT_SMOOTH_S = 5.0
"""Time constant of the smoothing while listening, and the one that a bundle's ``uncertain_below`` is fitted for."""


class Smoother:
    """An exponential mean of probabilities.

    Parameters
    ----------
    seconds
        Its time constant: what is older by this much weighs 1/e. 0 turns it off.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._mean: npt.NDArray[np.float64] | None = None
        self._at_s = 0.0

    def push(self, probabilities: npt.NDArray[np.float32], at_s: float) -> npt.NDArray[np.float64]:
        """Take probabilities float32 [n_classes] at a time in seconds; returns their mean up to now, float64."""
        decay = math.exp((self._at_s - at_s) / self.seconds) if self.seconds and self._mean is not None else 0.0
        before = self._mean if self._mean is not None else np.zeros(len(probabilities))
        self._mean, self._at_s = decay * before + (1 - decay) * probabilities, at_s
        return self._mean


def smooth_track(
    probabilities: npt.NDArray[np.float32], end_s: npt.NDArray[np.float64], seconds: float = DEFAULT_SMOOTH_S
) -> npt.NDArray[np.float64]:
    """Smooth the windows of a whole track as listening does; this is what ``uncertain_below`` is fitted on.

    Parameters
    ----------
    probabilities
        float32 [n_windows, n_classes] in the order of time.
    end_s
        float64 [n_windows], end of each window in seconds.
    seconds
        The time constant.

    Returns
    -------
    numpy.ndarray
        float64 [n_windows, n_classes].
    """
    smoother = Smoother(seconds)
    return np.stack([smoother.push(row, float(at_s)) for row, at_s in zip(probabilities, end_s, strict=True)])
