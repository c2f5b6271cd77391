"""Temperature scaling: one number that makes a network's probabilities as high as they are right (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["apply_temperature", "fit_temperature"]

_RANGE = (0.2, 5.0)
_STEPS = 20
_GOLDEN = (5**0.5 - 1) / 2


def apply_temperature(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """Return ``softmax(logits / temperature)`` for the probabilities ``softmax(logits)``, float32 [..., C]."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def fit_temperature(answers: Callable[[float], npt.NDArray[np.floating]], truth: npt.NDArray[np.int64]) -> float:
    """Return the temperature with the least negative log-likelihood, 0.2 to 5, by a golden-section search.

    Parameters
    ----------
    answers
        From a temperature to probabilities, float [n, C].
    truth
        int64 [n].
    """
    rows = np.arange(len(truth))

    def loss(log_t: float) -> float:
        right = answers(float(np.exp(log_t)))[rows, truth]
        return float(-np.log(np.maximum(right, 1e-12)).mean())

    low, high = (float(x) for x in np.log(_RANGE))
    for _ in range(_STEPS):
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return float(np.exp((low + high) / 2))
