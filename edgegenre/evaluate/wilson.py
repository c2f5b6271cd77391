"""The interval of a share. Not SciPy's: a device reports its accuracy with the base install."""

from __future__ import annotations

import math

__all__ = ["wilson_interval"]


def wilson_interval(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927).

    Parameters
    ----------
    hits, n
        Right ones of how many; ``n`` at least 1.
    z
        Quantile of the normal distribution; 1.959964 for 95 %.
    """
    share = hits / n
    center = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (center - spread) / (1 + z * z / n), (center + spread) / (1 + z * z / n)
