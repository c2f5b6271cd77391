"""The confidence interval of a proportion. Not SciPy's: a device reports its accuracy with the base install."""

from __future__ import annotations

import math

__all__ = ["wilson_interval"]


def wilson_interval(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    hits, n
        Number of successes, and of trials, at least 1.
    z
        Quantile of the normal distribution; 1.959964 for 95 %.
    """
    proportion = hits / n
    center = proportion + z * z / (2 * n)
    spread = z * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    return (center - spread) / (1 + z * z / n), (center + spread) / (1 + z * z / n)
