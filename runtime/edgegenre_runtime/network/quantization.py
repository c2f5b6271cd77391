"""The one ``quantize`` and the one ``dequantize`` of the project."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["dequantize", "quantize", "softmax"]


def quantize(x: npt.ArrayLike, scale: float, zero_point: int, dtype: npt.DTypeLike = np.int8) -> npt.NDArray[Any]:
    """Turn real values into the nearest steps: ``clip(rint(x / scale) + zero_point)``.

    Parameters
    ----------
    x
        Finite real values, any shape and unit.
    scale
        What one step is worth, in the unit of ``x``; read it from the tensor, never retype it.
    zero_point
        The step that stands for 0.
    dtype
        Integer type of the steps; values outside its range are clipped to it.

    Returns
    -------
    ndarray
        Steps of ``dtype``, shape of ``x``; halves are rounded to even.
    """
    limits = np.iinfo(np.dtype(dtype))
    steps = np.rint(np.asarray(x, dtype=np.float64) / float(scale)) + zero_point
    clipped: npt.NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(dtype)
    return clipped


def dequantize(q: npt.NDArray[np.integer[Any]], scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Turn steps into the real values they stand for: ``(q - zero_point) * scale``.

    Parameters
    ----------
    q
        Steps, any integer type and shape.
    scale, zero_point
        As in :func:`quantize`.

    Returns
    -------
    ndarray
        float32, shape of ``q``, in the unit of ``scale``.
    """
    real: npt.NDArray[np.float32] = (q.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities float32 [..., C] of logits float32 [..., C]; they sum to 1 over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)
