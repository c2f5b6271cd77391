"""Passes over samples and bytes by C (``runtime/c/python``); None where it is not built: NumPy gives the same bits."""

from __future__ import annotations

import ctypes
import functools

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend.native import LIBRARY, open_library

__all__ = ["find", "mix", "to_int16"]

_Pointer, _Size = ctypes.c_void_p, ctypes.c_size_t
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "mix_int16": (None, [_Pointer, _Size, ctypes.c_uint32, _Pointer]),
    "mix_float": (ctypes.c_int, [_Pointer, _Size, ctypes.c_uint32, ctypes.c_float, _Pointer]),
    "round": (_Size, [_Pointer, _Size, _Pointer]),
    "find": (_Size, [ctypes.c_char_p, _Size, ctypes.c_char_p]),
}


@functools.cache
def _library() -> ctypes.CDLL | None:
    return open_library(LIBRARY, "edgegenre_passes_", _SIGNATURES)


def mix(
    block: npt.NDArray[np.float32] | npt.NDArray[np.int16], largest: float
) -> tuple[npt.NDArray[np.float32], bool] | None:
    """Return the mean of one or two channels, float32 [n] at full scale 1, and whether all of it is within ±largest.

    Parameters
    ----------
    block
        float32 at full scale 1 or int16, [n, channels].
    largest
        At least 1; NaN is not within it.
    """
    library = _library()
    if library is None or block.shape[1] > 2:
        return None
    frames: npt.NDArray[np.float32 | np.int16] = np.ascontiguousarray(block)
    mono = np.empty(len(block), np.float32)
    given = (frames.ctypes.data, *block.shape)
    if block.dtype == np.int16:
        library.edgegenre_passes_mix_int16(*given, mono.ctypes.data)
        return mono, True
    return mono, bool(library.edgegenre_passes_mix_float(*given, largest, mono.ctypes.data))


def to_int16(samples: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int16], int] | None:
    """Return finite float32 [n] at full scale 1 as int16 [n], halves to even, and how many are above full scale."""
    library = _library()
    if library is None:
        return None
    samples = np.ascontiguousarray(samples)
    pcm = np.empty(len(samples), np.int16)
    return pcm, int(library.edgegenre_passes_round(samples.ctypes.data, len(samples), pcm.ctypes.data))


def find(content: bytes, pattern: bytes) -> int | None:
    """Return where four bytes stand first in others, -1 where they do not."""
    library = _library()
    if library is None:
        return None
    position = int(library.edgegenre_passes_find(content, len(content), pattern))
    return position if position < len(content) else -1
