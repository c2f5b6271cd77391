"""The range of an activation that its int8 steps span, the same rule for every target.

The largest value over all calibration windows is an outlier: spanning it wastes half of the steps. Each window's
own extremes are collected, and the range is what 90 % of the windows stay within; the rest is clipped. Logits
have their whole range, because the largest of them is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["QUANTILE", "activation_range"]

QUANTILE = 0.9


def activation_range(
    lows: Sequence[npt.ArrayLike], highs: Sequence[npt.ArrayLike], *, is_whole: bool = False
) -> tuple[float, float]:
    """Return the lower and upper end of a range, 0 included.

    Parameters
    ----------
    lows, highs
        Smallest and largest value of each window, one number each.
    is_whole
        Whether the range holds every value.
    """
    low, high = (np.array([np.asarray(value).item() for value in values]) for values in (lows, highs))
    if is_whole:
        return min(float(low.min()), 0.0), max(float(high.max()), 0.0)
    return min(float(np.quantile(low, 1 - QUANTILE)), 0.0), max(float(np.quantile(high, QUANTILE)), 0.0)
