"""Neighboring columns as channels: what a depthwise layer that only shifts makes of one channel, and moves nothing.

Converters write a convolution over an image of one channel as such a layer of N shifted copies and a convolution on
them. Here the copies are a view, and the convolution is one of more columns on the image itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arithmetic import output_scales, requantize
from .builder import Builder, View, refuse
from .graph import Operator

__all__ = ["LARGEST_SUM", "scales_and_bias", "side_by_side", "steps_of", "unfolded"]

LARGEST_SUM = 2**31 - 1
_LARGEST_SCALE = 256.0
_VALID = 1
_STEPS = np.arange(-128, 128)


def unfolded(builder: Builder, operator: Operator) -> View | None:
    """Return the view that a DEPTHWISE_CONV_2D on one channel makes, or None if it does more than shift.

    Output channel ``c`` must be the input ``c`` columns on, step for step, and whatever reads it a convolution of as
    many channels.
    """
    kernel, options, view = builder.constant(operator, 1, "int8"), operator.options, builder.views[operator.inputs[0]]
    n_out = kernel.shape[3]
    is_square = kernel.shape[:3] == (1, 1, n_out) and n_out > 1 and view.addresses.ndim == 4 and view.n_columns == 1
    strides = (options["stride_h"], options["stride_w"], options["dilation_h"], options["dilation_w"])
    if not is_square or strides != (1, 1, 1, 1) or options["padding"] != _VALID:
        return None
    shifts, (made, *limits) = np.diagonal(kernel[0, 0]), builder.made(operator)
    given = builder.tensor(operator.inputs[0])
    is_same = (made.scale, made.zero_point, *limits) == (given.scale, given.zero_point, -128, 127)
    if not is_same or np.count_nonzero(kernel) != n_out or not (steps_of(builder, operator, shifts) == _STEPS).all():
        return None
    if not _is_convolved(builder, operator.outputs[0], n_out):
        return None
    return View(view.buffer, view.addresses, view.edges, n_out)


def _is_convolved(builder: Builder, index: int, n_columns: int) -> bool:
    """Whether nothing reads a tensor but convolutions whose taps keep apart, and slices for such ones."""
    graph = builder.graph
    readers = [operator for operator in graph.operators if index in operator.inputs]
    return index not in graph.outputs and all(_keeps_apart(builder, reader, n_columns) for reader in readers)


def _keeps_apart(builder: Builder, reader: Operator, n_columns: int) -> bool:
    if reader.name == "SLICE":
        made = builder.graph.tensors[reader.outputs[0]]
        return made.shape[-1] == n_columns and _is_convolved(builder, reader.outputs[0], n_columns)
    if reader.name != "CONV_2D" or reader.options["padding"] != _VALID:
        return False
    _, _, n_taps, n_in = builder.graph.tensors[reader.inputs[1]].shape
    return n_in == n_columns and (n_taps == 1 or reader.options["dilation_w"] >= n_columns)


def side_by_side(kernel: npt.NDArray[np.int8], n_columns: int) -> npt.NDArray[np.int8]:
    """Return weights [out, rows, taps, n_columns] on columns as channels as weights [out, rows, columns, 1]."""
    n_out, rows, n_taps, _ = kernel.shape
    wide = np.zeros((n_out, rows, n_taps - 1 + n_columns, 1), np.int8)
    for column in range(n_columns):  # taps keep apart: of those that meet in a column, one at most is not 0
        wide[:, :, column : column + n_taps, 0] += kernel[..., column]
    return wide


def steps_of(builder: Builder, operator: Operator, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return what each weight alone makes of each of the 256 steps of an input, with its channel's bias: [n, 256]."""
    made, low, high = builder.made(operator)
    scales, bias = scales_and_bias(builder, operator, len(weights))
    products = weights.astype(np.int64)[:, None] * (_STEPS - builder.tensor(operator.inputs[0]).zero_point)
    sums = bias[:, None] + products
    if np.abs(sums).max() > LARGEST_SUM:
        raise refuse(f"{operator.name} whose sums do not fit 32 bits")
    return requantize(sums, scales[:, None], made.zero_point, low, high)


def scales_and_bias(
    builder: Builder, operator: Operator, depth: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return both, checked, with zeros for padded channels up to ``depth``."""
    source, made = builder.tensor(operator.inputs[0]), builder.tensor(operator.outputs[0])
    kernel, n_channels = builder.graph.tensors[operator.inputs[1]], made.shape[-1]
    if len(kernel.scales) not in (1, n_channels) or kernel.zero_points.any():
        given = f"{len(kernel.scales)} scales for {n_channels} channels"
        raise refuse(f"{operator.name} with {given}, or weights with a zero point")
    bias = np.zeros(depth, np.int64)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias[:n_channels] = np.ravel(builder.constant(operator, 2, "int32"))
    scales = np.zeros(depth, np.float32)
    scales[:n_channels] = output_scales(source.scale, kernel.scales, made.scale)
    if not np.isfinite(scales).all() or scales.min() < 0 or scales.max() >= _LARGEST_SCALE:
        raise refuse(f"{operator.name} with a scale of {scales.max()}")
    return scales, bias
