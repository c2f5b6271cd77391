"""Stage 4: sparse mel sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .tables import Tables

__all__ = ["mel_sums"]


def mel_sums(power: npt.NDArray[np.uint64], tables: Tables) -> npt.NDArray[np.uint64]:
    """Return each band's weighted sum of bin powers.

    Parameters
    ----------
    power
        uint64 [n_bins, T] of stage 3. By Parseval all bins together are below ``2**47``, so that a sum with
        16-bit weights is below ``2**63``.

    Returns
    -------
    uint64 [n_mels, T].
    """
    length = tables.band_length.astype(np.int64)
    first = np.cumsum(length) - length
    bins = np.arange(length.sum()) + np.repeat(tables.band_start - first, length)
    weighted = power[bins] * tables.band_weight.astype(np.uint64)[:, None]
    return np.asarray(np.add.reduceat(weighted, first, axis=0), dtype=np.uint64)
