"""Stage 5: log2 by leading zeros and a table, uint64 sums → int16 Q9."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .tables import LOG2_SEGMENT_BITS, Tables

__all__ = ["FLOOR_Q9", "log2_q9", "log2_q15"]

FLOOR_Q9 = -32768
"""The log-mel of no power at all."""


def log2_q15(values: npt.NDArray[np.uint64], table_q15: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Return log2 of positive integers in Q15, int64 of the same shape.

    The position of the leading one is the integer part; the 16 bits behind it select a segment of the table
    and interpolate in it, rounding halves up. The error is below 1e-4 octaves.
    """
    exponent = np.zeros(values.shape, dtype=np.uint64)
    rest = values.copy()
    for bits in (32, 16, 8, 4, 2, 1):
        big = rest >= np.uint64(1 << bits)
        exponent += big * np.uint64(bits)
        rest = np.where(big, rest >> np.uint64(bits), rest)
    normalized = values << (np.uint64(63) - exponent)
    fraction_q16 = ((normalized >> np.uint64(47)) & np.uint64(0xFFFF)).astype(np.int64)
    low_bits = 16 - LOG2_SEGMENT_BITS
    segment, position = fraction_q16 >> low_bits, fraction_q16 & ((1 << low_bits) - 1)
    table = table_q15.astype(np.int64)
    rise = (table[segment + 1] - table[segment]) * position + (1 << (low_bits - 1))
    return np.asarray((exponent.astype(np.int64) << 15) + table[segment] + (rise >> low_bits))


def log2_q9(sums: npt.NDArray[np.uint64], shift: npt.NDArray[np.int32], tables: Tables) -> npt.NDArray[np.int16]:
    """Return the log-mel of mel sums with every scaling undone.

    Parameters
    ----------
    sums
        uint64 [n_mels, T] of stage 4.
    shift
        int32 [T], block exponents of stage 1.

    Returns
    -------
    int16 [n_mels, T], log2 of mel power of int16 PCM in Q6.9, halves rounded up, clipped to int16;
    ``FLOOR_Q9`` where the sum is zero.
    """
    total_q15 = log2_q15(np.maximum(sums, np.uint64(1)), tables.log2_q15)
    total_q15 += tables.band_offset_q15.astype(np.int64)[:, None] + (shift.astype(np.int64) << 16)
    logs_q9 = np.clip((total_q15 + 32) >> 6, FLOOR_Q9 + 1, 32767)
    return np.where(sums > 0, logs_q9, FLOOR_Q9).astype(np.int16)
