"""The network's arithmetic, stated once: int8 values, int32 sums, one float32 multiplication, halves to even.

These are XNNPACK's rules, LiteRT's default on x86-64, on every Pi and in browsers. With real value
``(q - zero_point) * scale``:

========================  =============================================================================
convolution, dense        ``clip(rint(float32(sum) * scale), low - z, high - z) + z``, where ``sum`` is int32, the
                          bias plus the products of weight and ``q - zero_point``, and ``scale`` the float32 of
                          ``input * weight / output`` scales
mean, sum                 ``clip(rint(float32(sum of q) * scale + bias))``: ``scale`` is ``(input / output) * (1 / n)``
                          of the scales, of a sum ``input / output``, ``bias`` the output's zero point less
                          ``n * zero_point * scale``, every operation rounded to float32 on its own
addition                  ``clip(((bias + a * A + b * B) >> shift) + z)`` with 21-bit factors A and B
maximum                   the larger step; no arithmetic
average pooling           the sum over the cells inside the image divided by their number, halves away from zero
                          (LiteRT's own kernel: XNNPACK has none for int8)
product with a constant   the rule of a convolution: ``sum`` is ``(q - zero_point) * (constant - its zero point)``
new scale (QUANTIZE)      a table of 256 steps from a multiplier of eight fractional bits
========================  =============================================================================

``z`` is the output's zero point; a fused ReLU raises ``low``, ReLU6 also lowers ``high``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = [
    "AddConstants",
    "activation_range",
    "add_constants",
    "mean_constants",
    "mean_steps",
    "new_scale_table",
    "output_scales",
    "requantize",
    "sum_constants",
]

LOWEST, HIGHEST = -128, 127
_ADD_BITS = 20
_RELU, _RELU6 = 1, 3


def output_scales(
    input_scale: np.float32, weight_scales: npt.NDArray[np.float32], output_scale: np.float32
) -> npt.NDArray[np.float32]:
    """Return what one unit of a channel's sum is worth in output steps, float32 [channels]."""
    scales: npt.NDArray[np.float32] = (input_scale * weight_scales.astype(np.float32)) / output_scale
    return scales.astype(np.float32)


def mean_constants(
    source: tuple[np.float32, int], target: tuple[np.float32, int], n_cells: int
) -> tuple[np.float32, np.float32]:
    """Return scale and bias of a mean over ``n_cells`` from ``source`` to ``target`` (scale, zero point)."""
    ratio, share = np.float32(source[0] / target[0]), np.float32(np.float32(1) / np.float32(n_cells))
    scale = np.float32(ratio * share)
    return scale, _sum_bias(source[1], target[1], n_cells, scale)


def sum_constants(
    source: tuple[np.float32, int], target: tuple[np.float32, int], n_cells: int
) -> tuple[np.float32, np.float32]:
    """Return scale and bias of a sum over ``n_cells``, as :func:`mean_constants` does of a mean."""
    scale = np.float32(source[0] / target[0])
    return scale, _sum_bias(source[1], target[1], n_cells, scale)


def _sum_bias(source_zero: int, target_zero: int, n_cells: int, scale: np.float32) -> np.float32:
    bias: np.float32 = np.float32(target_zero) - np.float32(n_cells * source_zero) * scale
    return bias


def mean_steps(sums: npt.NDArray[np.integer], scale: np.float32, bias: np.float32) -> npt.NDArray[np.int8]:
    """Turn sums of steps into the steps of their mean."""
    real = sums.astype(np.float32) * scale + bias
    cells: npt.NDArray[np.int8] = np.rint(np.clip(real, np.float32(LOWEST), np.float32(HIGHEST))).astype(np.int8)
    return cells


def activation_range(activation: int, scale: np.float32, zero_point: int) -> tuple[int, int] | None:
    """Return the lowest and highest step that a fused activation (``schema.fbs``) allows, or None if it is unknown."""
    if activation == 0:
        return LOWEST, HIGHEST
    if activation == _RELU:
        return max(LOWEST, zero_point), HIGHEST
    if activation == _RELU6:
        return max(LOWEST, zero_point), min(HIGHEST, zero_point + int(np.rint(np.float32(6.0) / scale)))
    return None


def requantize(
    sums: npt.NDArray[np.integer], scales: npt.NDArray[np.float32] | np.float32, zero_point: int, low: int, high: int
) -> npt.NDArray[np.int8]:
    """Turn sums (within int32, channels last) into steps: the rule of convolution and dense."""
    real = sums.astype(np.int32).astype(np.float32) * scales
    steps = np.rint(np.clip(real, np.float32(low - zero_point), np.float32(high - zero_point)))
    cells: npt.NDArray[np.int8] = (steps.astype(np.int32) + zero_point).astype(np.int8)
    return cells


@dataclasses.dataclass(frozen=True, slots=True)
class AddConstants:
    """Factors of the two summands, and the shift and bias of ``(bias + a * factor_a + b * factor_b) >> shift``."""

    factor_a: int
    factor_b: int
    bias: int
    shift: int


def add_constants(a: tuple[np.float32, int], b: tuple[np.float32, int], output_scale: np.float32) -> AddConstants:
    """Return the constants of an addition of tensors with (scale, zero point) ``a`` and ``b``.

    Raises
    ------
    ValueError
        If the scales differ so much that XNNPACK would not take the addition (a ratio outside of 2^-10 to 2^8).
    """
    ratio_a, ratio_b = np.float32(a[0] / output_scale), np.float32(b[0] / output_scale)
    larger, smaller = max(ratio_a, ratio_b), min(ratio_a, ratio_b)
    if not (smaller >= 2.0**-10 and larger < 2.0**8):
        raise ValueError("an addition of tensors whose scales differ by more than 2^8")
    shift = _ADD_BITS - (int(np.frexp(larger)[1]) - 1)
    factor_a, factor_b = (int(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in (ratio_a, ratio_b))
    return AddConstants(factor_a, factor_b, (1 << (shift - 1)) - factor_a * a[1] - factor_b * b[1], shift)


def new_scale_table(source: tuple[np.float32, int], target: tuple[np.float32, int]) -> npt.NDArray[np.int8]:
    """Return the step of ``target`` (scale, zero point) for each of the 256 steps of ``source``, from -128 on."""
    factor = int(np.rint(np.float32(256.0) * np.float32(source[0] / target[0])))
    steps = np.arange(LOWEST, HIGHEST + 1)
    moved = (((steps - source[1]) * factor + 128) >> 8) + target[1]
    cells: npt.NDArray[np.int8] = np.clip(moved, LOWEST, HIGHEST).astype(np.int8)
    return cells
