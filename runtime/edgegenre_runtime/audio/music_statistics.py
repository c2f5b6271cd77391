"""Statistics of a window's cells that tell music from other sounds: stated in NumPy, run by C where it is built.

Sums are whole numbers, roots are integer roots of 30 bits, and the rest are products, quotients and sums of IEEE
doubles in the order written here, so that ``runtime/c/src/music`` gives the same bits on every processor and in a
browser.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.frontend.native import LIBRARY, open_library

__all__ = ["STATISTICS", "native_score", "reference_statistics", "window_statistics"]

STATISTICS = (
    "deviation_median_db",
    "deviation_high_db",
    "floor_share",
    "deviation_all_db",
    "level_deviation_db",
    "level_dips_db",
    "level_peaks_db",
    "detail_db",
    "detail_deviation_db",
    "tone_70_ms",
    "tone_280_ms",
    "tone_1100_ms",
    "steady_lines",
    "rhythm",
    "movement_db",
    "onset_deviation_db",
    "togetherness",
    "spectrum_deviation_db",
    "spectrum_roughness_db",
)
"""What :func:`window_statistics` returns, in its order."""

_DETAIL_BANDS, _SIZE_STEPS, _FLOOR_DB = 9, 16, 1
_TONES_MS = (70, 280, 1100)
_MAX_MELS = _MAX_FRAMES = 256
_Pointer, _Size, _Whole = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32
_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "statistics": (ctypes.c_int, [_Pointer, _Pointer, _Pointer, _Size, _Pointer]),
    "score": (ctypes.c_double, [_Pointer, _Pointer, ctypes.c_double]),
}
Whole = npt.NDArray[np.int64]


class _Shape(ctypes.Structure):
    _fields_ = [
        ("n_mels", _Whole), ("n_frames", _Whole), ("sample_rate_hz", _Whole), ("hop_samples", _Whole),
        ("top_db", ctypes.c_double),
    ]  # fmt: skip


@functools.cache
def _library() -> ctypes.CDLL | None:
    return open_library(LIBRARY, "edgegenre_music_", _SIGNATURES)


def window_statistics(cells: npt.NDArray[np.int8], spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return the :data:`STATISTICS` of a window's cells, by C where it is built.

    Parameters
    ----------
    cells
        int8 [n_mels, frames_per_window].
    spec
        The front-end, for top_db and the time from frame to frame.

    Returns
    -------
    numpy.ndarray
        float64 [len(STATISTICS)], finite.
    """
    M, T = cells.shape
    library = _library()
    if library is None or not (2 <= M <= _MAX_MELS and 8 <= T <= _MAX_FRAMES):
        return reference_statistics(cells, spec)
    shape = _Shape(M, T, spec.sample_rate_hz, spec.hop_samples, spec.top_db)
    scratch, out = np.empty(2 * M + 5 * T, np.float64), np.empty(len(STATISTICS), np.float64)
    cells = np.ascontiguousarray(cells)
    library.edgegenre_music_statistics(
        ctypes.byref(shape), cells.ctypes.data, scratch.ctypes.data, scratch.nbytes, out.ctypes.data
    )
    return out


def native_score(statistics: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], bias: float) -> float | None:
    """Return a detector's weighed sum by C, None where C is not built.

    Parameters
    ----------
    statistics
        float64 [len(STATISTICS)], contiguous.
    rows
        float64 [len(STATISTICS), 4], contiguous: center, scale, weight and its square's weight.
    bias
        What is added.
    """
    library = _library()
    return (
        None
        if library is None
        else float(library.edgegenre_music_score(statistics.ctypes.data, rows.ctypes.data, bias))
    )


def reference_statistics(cells: npt.NDArray[np.int8], spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return what :func:`window_statistics` does, by NumPy and Python's own numbers: the definition."""
    step = spec.top_db / 255
    u = cells.astype(np.int64) + 128
    M, T = u.shape
    level, band = u.sum(axis=0), u.sum(axis=1)
    variances = T * (u * u).sum(axis=1) - band * band
    sounding = np.sort(variances[2 * np.count_nonzero(u, axis=1) > T])
    n = len(sounding)
    low, high = (_root(sounding[(n - 1) // 2]), _root(sounding[n // 2])) if n else (0.0, 0.0)
    below, middle, above = (int(x) for x in np.sort(level)[[T // 10, T // 2, T - 1 - T // 10]])
    lag = _lag(70, spec, T)
    change = u[:, lag:] - u[:, :-lag]
    onsets = np.maximum(change, 0).sum(axis=0)
    level_deviation = _deviation(level) * step / M / T
    values = (
        (low + high) / 2 * step / T,
        _root(np.sort(variances)[M - 1 - M // 10]) * step / T,
        np.count_nonzero(u * step < _FLOOR_DB) / u.size,
        _deviation(u.ravel()) * step / u.size,
        level_deviation,
        (middle - below) * step / M,
        (above - middle) * step / M,
        *_tones(u, spec),
        _rhythm(onsets, M, spec, T),
        int(np.abs(change).sum()) * step / M / (T - lag),
        _deviation(onsets) * step / M / (T - lag),
        level_deviation / (_total(_root(x) for x in variances) * step / T / M + 0.1),
        _deviation(band) * step / M / T,
        int(np.abs(np.diff(band)).sum()) * step / T / (M - 1),
    )
    return np.array(values, np.float64)


def _root(number: int | np.integer) -> float:
    """Return the square root of a whole number, rounded down to 30 bits."""
    x, unit = int(number), 1.0
    if x == 0:
        return 0.0
    while x < 2**60:
        x, unit = x << 2, unit * 0.5
    return math.isqrt(x) * unit


def _total(values: Iterable[float]) -> float:
    """Return the sum of numbers one after the other; Python's own ``sum`` corrects its rounding."""
    total = 0.0
    for value in values:
        total += value
    return total


def _deviation(x: Whole) -> float:
    """Return n times the standard deviation of n whole numbers."""
    return _root(len(x) * int((x * x).sum()) - int(x.sum()) ** 2)


def _lag(ms: int, spec: FrontendSpec, n_frames: int) -> int:
    """Return a time in frames, at least 1 and at most half a window."""
    unit = 2000 * spec.hop_samples
    return min(max((2 * ms * spec.sample_rate_hz + unit // 2) // unit, 1), n_frames // 2)


def _tones(u: Whole, spec: FrontendSpec) -> tuple[float, ...]:
    """Return how sharp the spectrum is, mean and deviation, how long its lines stay, and how steady they are."""
    M, T = u.shape
    half = _DETAIL_BANDS // 2
    rows = np.clip(np.arange(-half, M + half), 0, M - 1)
    smooth = np.lib.stride_tricks.sliding_window_view(u[rows], _DETAIL_BANDS, axis=0).sum(axis=-1)
    detail = _DETAIL_BANDS * u - smooth
    step = spec.top_db / 255
    unit, line = step / (_DETAIL_BANDS * _SIZE_STEPS) / M, step / _DETAIL_BANDS
    sizes = [math.isqrt(int(x) * M * _SIZE_STEPS**2) for x in (detail * detail).sum(axis=0)]
    mean = sum(sizes) * unit / T
    lines, tones = detail.sum(axis=1), []
    for lag in (_lag(ms, spec, T) for ms in _TONES_MS):
        together = (detail[:, :-lag] * detail[:, lag:]).sum(axis=0).tolist()
        pairs = zip(together, sizes, sizes[lag:], strict=False)
        tone = _total(x * line * line / ((a * unit + 1e-3) * (b * unit + 1e-3)) for x, a, b in pairs)
        tones.append(tone / M / (T - lag))
    steady = _deviation(lines) / M / T * line / (mean + 1e-3)
    return (mean, _deviation(np.array(sizes)) * unit / T, *tones, steady)


def _rhythm(onsets: Whole, n_mels: int, spec: FrontendSpec, n_frames: int) -> float:
    """Return the highest autocorrelation of the onsets 0.25 to 1.2 s apart, -1 to 1."""
    n = len(onsets)
    unit = spec.top_db / 255 / n_mels / n
    centered = n * onsets - onsets.sum()
    first = max(min(_lag(250, spec, n_frames), n // 2), 2)
    end = max(min(_lag(1200, spec, n_frames), n // 2), first + 1)
    largest = max(int(centered[lag:] @ centered[: n - lag]) for lag in range(first, end))
    return largest * unit * unit / (int(centered @ centered) * unit * unit + 1e-3)
