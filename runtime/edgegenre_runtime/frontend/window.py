"""Stage 1: Q15 window and block exponent, int16 PCM → int32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .tables import Tables

__all__ = ["block_window", "headroom_bits"]


def headroom_bits(n_fft: int) -> int:
    """Bits of a windowed sample's magnitude such that no value of the FFT leaves int32.

    With ``|x| <= 2**b`` and ``b = 30 - log2(n_fft)`` every bin is at most ``n_fft * 2**b = 2**30``.
    """
    return 31 - n_fft.bit_length()


def block_window(frames: npt.NDArray[np.int16], tables: Tables) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Multiply frames by the window and shift each so that its largest sample fills the headroom.

    Parameters
    ----------
    frames
        int16 [T, n_fft], PCM.

    Returns
    -------
    windowed
        int32 [T, n_fft], ``round(pcm * window_q15 / 2**shift)``, halves rounded up; at most
        ``2**headroom_bits``.
    shift
        int32 [T], may be negative (a quiet frame is shifted up); 0 for a frame of zeros.
    """
    raw = frames.astype(np.int32) * tables.window_q15.astype(np.int32)
    largest = np.abs(raw).max(axis=1)
    bit_length = np.frexp(largest.astype(np.float64))[1]  # exact: number of bits of an integer below 2**53
    shift = np.where(largest > 0, bit_length - headroom_bits(tables.spec.n_fft), 0).astype(np.int32)
    down = np.maximum(shift, 0)[:, None]
    up = np.maximum(-shift, 0)[:, None]
    half = (np.int32(1) << down) >> 1
    return ((raw << up) + half) >> down, shift
