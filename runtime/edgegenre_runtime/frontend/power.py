"""Stage 3: power of each FFT bin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .tables import POWER_SHIFT

__all__ = ["bin_power"]


def bin_power(re: npt.NDArray[np.int64], im: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return ``(re**2 + im**2) >> POWER_SHIFT``, uint64 of the inputs' shape; the square sum is below 2**61."""
    return ((re * re + im * im) >> POWER_SHIFT).astype(np.uint64)
