"""Stage 2: real FFT in int32, by a half-length complex radix-4 FFT.

No stage scales: the headroom of stage 1 makes every intermediate fit in int32. The only rounding is that of
a product, ``mul_q31`` (SQRDMULH on ARM), and the final halving, which rounds down (SHADD, SHSUB).
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from .tables import Tables

__all__ = ["digit_reversal", "mul_q31", "real_fft", "twiddles_q31"]

_Int = npt.NDArray[np.int64]


def mul_q31(a: _Int, b: _Int) -> _Int:
    """Return the rounding doubling high product ``(a * b + 2**30) >> 31`` for int32 values held in int64."""
    return (a * b + (1 << 30)) >> 31


@functools.cache
def digit_reversal(n: int) -> npt.NDArray[np.int64]:
    """Return the base-4 digit-reversed order of ``n = 4**k`` points, int64 [n]."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n:
        order = (4 * order[None, :] + np.arange(4)[:, None]).reshape(-1)
    order.flags.writeable = False
    return order


def twiddles_q31(tables: Tables, index: _Int) -> tuple[_Int, _Int]:
    """Return ``cos`` and ``sin`` of ``2 pi index / n_fft`` in Q31 for ``0 <= index < n_fft`` from the quarter sine."""
    N = tables.spec.n_fft
    quarter = tables.quarter_sine_q31.astype(np.int64)

    def sine(i: _Int) -> _Int:
        i = i % N
        folded = np.where(i % (N // 2) > N // 4, N // 2 - i % (N // 2), i % (N // 2))
        return np.where(i >= N // 2, -quarter[folded], quarter[folded])

    return sine(index + N // 4), sine(index)


def _multiply(re: _Int, im: _Int, cos: _Int, sin: _Int) -> tuple[_Int, _Int]:
    """(re + j im) · (cos - j sin), each product rounded on its own."""
    return mul_q31(re, cos) + mul_q31(im, sin), mul_q31(im, cos) - mul_q31(re, sin)


def _complex_fft(re: _Int, im: _Int, tables: Tables) -> tuple[_Int, _Int]:
    """Radix-4 decimation in time over axis 0; int64 [n, T] in digit-reversed order, returned in natural order."""
    n, T = re.shape
    quarter = 1
    while quarter < n:
        step = 2 * n // (4 * quarter)  # of the n_fft-point circle
        shape = (n // (4 * quarter), 4, quarter, T)
        r, i = re.reshape(shape), im.reshape(shape)
        parts = [(r[:, 0], i[:, 0])]
        for p in (1, 2, 3):
            cos, sin = twiddles_q31(tables, step * p * np.arange(quarter))
            parts.append(_multiply(r[:, p], i[:, p], cos[:, None], sin[:, None]))
        (ar, ai), (br, bi), (cr, ci), (dr, di) = parts
        sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
        ur, ui, vr, vi = br + dr, bi + di, br - dr, bi - di
        re = np.stack((sr + ur, tr + vi, sr - ur, tr - vi), axis=1).reshape(n, T)
        im = np.stack((si + ui, ti - vr, si - ui, ti + vr), axis=1).reshape(n, T)
        quarter *= 4
    return re, im


def real_fft(windowed: npt.NDArray[np.int32], tables: Tables) -> tuple[_Int, _Int]:
    """Return the real and imaginary parts of the FFT of real frames.

    Parameters
    ----------
    windowed
        int32 [T, n_fft] with magnitudes of at most ``2**headroom_bits(n_fft)``.

    Returns
    -------
    re, im
        int64 [n_fft // 2 + 1, T] holding int32 values; the sign of ``im`` is not kept for bins above
        n_fft / 4 (the mirrored half is stored conjugated), which the power does not see.
    """
    n = tables.spec.n_fft // 2
    pairs = windowed.T.astype(np.int64).reshape(n, 2, -1)[digit_reversal(n)]
    zr, zi = _complex_fft(pairs[:, 0], pairs[:, 1], tables)
    k = np.arange(1, n // 2)
    sum_r, dif_r = zr[k] + zr[n - k], zr[k] - zr[n - k]
    sum_i, dif_i = zi[k] - zi[n - k], zi[k] + zi[n - k]
    cos, sin = twiddles_q31(tables, k)
    odd_r, odd_i = _multiply(dif_i, -dif_r, cos[:, None], sin[:, None])
    zero = np.zeros_like(zr[:1])
    middle = slice(n // 2, n // 2 + 1)
    low_r, low_i = (sum_r + odd_r) >> 1, (sum_i + odd_i) >> 1
    high_r, high_i = (sum_r - odd_r) >> 1, (sum_i - odd_i) >> 1
    re = np.concatenate((zr[:1] + zi[:1], low_r, zr[middle], high_r[::-1], zr[:1] - zi[:1]))
    im = np.concatenate((zero, low_i, zi[middle], high_i[::-1], zero))
    return re, im
