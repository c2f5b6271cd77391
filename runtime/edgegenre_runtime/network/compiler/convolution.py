"""The lowering of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: weights, bias and scales for the kernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .builder import NO_EDGES, Builder, Edges, View, refuse, same_padding
from .graph import Operator
from .program import CALLER, LANES, Kind, Step, padded_depth
from .unfold import LARGEST_SUM, scales_and_bias, side_by_side, steps_of, unfolded

__all__ = ["lower_conv", "lower_dense", "lower_depthwise"]

_MAX_KERNEL_ROWS, _MAX_CELLS = 96, 2**16 - 1


def lower_conv(builder: Builder, operator: Operator) -> View:
    """Lower CONV_2D, plain or grouped."""
    kernel = _spread(operator, builder.constant(operator, 1, "int8"))
    if (n_columns := builder.views[operator.inputs[0]].n_columns) > 1:
        kernel = side_by_side(kernel, n_columns)
    if kernel.shape[1:3] == (1, 1) and _is_flat(builder, operator.inputs[0]):
        return _dense(builder, operator, kernel.reshape(kernel.shape[0], -1))
    source, edges = builder.image(operator.inputs[0], operator.name)
    n_in, n_out = builder.buffers[source].channels, kernel.shape[0]
    n_groups, rest = divmod(n_in, kernel.shape[3])
    if rest or n_out % max(1, n_groups):
        raise refuse(f"{operator.name} of {n_in} channels with weights of {list(kernel.shape)}")
    weights = np.zeros((*kernel.shape[:3], n_in), np.int8)
    for group in range(n_groups):  # a grouped convolution is a plain one with zeros between the groups
        rows = slice(group * n_out // n_groups, (group + 1) * n_out // n_groups)
        weights[rows, :, :, group * kernel.shape[3] : (group + 1) * kernel.shape[3]] = kernel[rows]
    return _convolve(builder, operator, source, edges, weights)


def _is_flat(builder: Builder, index: int) -> bool:
    view = builder.views[index]
    return max(view.addresses.shape[:-1], default=1) == 1 and not view.edges


def lower_depthwise(builder: Builder, operator: Operator) -> View:
    """Lower DEPTHWISE_CONV_2D; with several outputs of few channels it is a plain convolution."""
    kernel = _spread(operator, builder.constant(operator, 1, "int8"))
    n_in, n_out = builder.tensor(operator.inputs[0]).shape[-1], kernel.shape[3]
    if n_out % n_in:
        raise refuse(f"{operator.name} of {n_in} channels with weights of {list(kernel.shape)}")
    if n_in == 1 and (found := unfolded(builder, operator) or _one_by_one(builder, operator, kernel)):
        return found
    if n_in >= LANES:  # several outputs a channel: of repeated ones, a plain convolution would be zeros but for a few
        source, edges = builder.image(operator.inputs[0], operator.name, more=n_out // n_in - 1)
        n_in = n_out
    else:
        source, edges = builder.image(operator.inputs[0], operator.name)
    if n_out == n_in and n_in > 1 and builder.buffers[source].depth == padded_depth(n_in):
        return _convolve(builder, operator, source, edges, kernel[0].astype(np.int8))
    weights = np.zeros((n_out, *kernel.shape[1:3], n_in), np.int8)
    for channel in range(n_out):  # several outputs a channel: a plain convolution
        weights[channel, :, :, channel * n_in // n_out] = kernel[0, :, :, channel]
    return _convolve(builder, operator, source, edges, weights)


def _spread(operator: Operator, kernel: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return a kernel with zeros between its taps, as many as the dilation asks for."""
    apart = (operator.options.get("dilation_h", 1), operator.options.get("dilation_w", 1))
    if apart == (1, 1):
        return kernel
    rows, columns = ((n - 1) * step + 1 for n, step in zip(kernel.shape[1:3], apart, strict=True))
    if min(apart) < 1 or rows > _MAX_KERNEL_ROWS or rows * columns * kernel.shape[3] > _MAX_CELLS:
        raise refuse(f"{operator.name} with a dilation of {apart[0]} x {apart[1]}")
    spread = np.zeros((kernel.shape[0], rows, columns, kernel.shape[3]), np.int8)
    spread[:, :: apart[0], :: apart[1]] = kernel
    return spread


def _one_by_one(builder: Builder, operator: Operator, kernel: npt.NDArray[np.int8]) -> View | None:
    """Return what a kernel of one cell makes of one channel: a function of each step, wherever the cells lie."""
    stride = (operator.options["stride_h"], operator.options["stride_w"])
    if kernel.shape != (1, 1, 1, 1) or stride != (1, 1) or builder.views[operator.inputs[0]].edges:
        return None
    return builder.look_up(operator, steps_of(builder, operator, kernel.reshape(1))[0])


def _convolve(
    builder: Builder,
    operator: Operator,
    source: int,
    edges: Edges,
    weights: npt.NDArray[np.int8],
) -> View:
    made, low, high = builder.made(operator)
    image, stride = builder.buffers[source], (operator.options["stride_h"], operator.options["stride_w"])
    is_plain = weights.ndim == 4
    size = (weights.shape[1], weights.shape[2]) if is_plain else (weights.shape[0], weights.shape[1])
    height, width, channels = made.shape[1:]
    lengths = (image.height, image.width)
    if size[0] > _MAX_KERNEL_ROWS:
        raise refuse(f"{operator.name} with a kernel of {size[0]} rows")
    if operator.options["padding"] == 0:  # SAME
        if edges != NO_EDGES:
            raise refuse(f"{operator.name} with SAME padding behind PAD")
        edges = (same_padding(lengths[0], size[0], stride[0]), same_padding(lengths[1], size[1], stride[1]))
    for length, edge, window, advance, n_made in zip(lengths, edges, size, stride, (height, width), strict=True):
        if (length + sum(edge) - window) // advance + 1 != n_made:
            raise refuse(f"{operator.name} whose output does not fit its input")
    right = (width - 1) * stride[1] + size[1] - edges[1][0] - image.width
    image.left, image.right = max(image.left, edges[1][0]), max(image.right, right)
    last_row = (height - 1) * stride[0] + size[0] - edges[0][0]
    image.has_zero_row |= edges[0][0] > 0 or last_row > image.height
    target = builder.buffer((height, width, channels), made)
    step = Step(
        Kind.CONV if is_plain else Kind.DEPTHWISE, (source,), target, size, stride, (edges[0][0], edges[1][0]),
        low=low, high=high,
    )  # fmt: skip
    _fold(builder, operator, step, weights)
    builder.steps.append(step)
    return builder.view(target, made.shape)


def _fold(builder: Builder, operator: Operator, step: Step, weights: npt.NDArray[np.int8]) -> None:
    """Set weights for padded channels, the bias with the input's zero point in it, and the scales."""
    source, target = builder.buffers[step.inputs[0]], builder.buffers[step.output]
    scales, bias = scales_and_bias(builder, operator, target.depth)
    n_more = source.depth - source.channels
    if weights.ndim == 4:  # [out, rows, columns, in]
        axes: tuple[int, ...] = (1, 2, 3)
        weights = np.pad(weights, [(0, target.depth - target.channels), (0, 0), (0, 0), (0, n_more)])
    else:  # [rows, columns, channels]
        axes, weights = (0, 1), np.pad(weights, [(0, 0), (0, 0), (0, n_more)])
    is_live = scales * np.float32(2.0**31) >= 0.5  # of a dead channel every sum rounds to no step at all
    bias = np.where(is_live, bias, 0)
    wide = np.where(is_live[:, None, None, None] if weights.ndim == 4 else is_live, weights, 0).astype(np.int64)
    if np.prod(wide.shape[1:]) > _MAX_CELLS and weights.ndim == 4:
        raise refuse(f"{operator.name} over more than {_MAX_CELLS} cells")
    if wide.size and wide.min() < -127:
        raise refuse(f"{operator.name} with the weight -128")
    if (np.abs(bias) + 256 * np.abs(wide).sum(axis=axes)).max() > LARGEST_SUM:
        raise refuse(f"{operator.name} whose sums do not fit 32 bits")
    step.weights = wide.astype(np.int8)
    step.bias = (bias - source.zero_point * wide.sum(axis=axes)).astype(np.int32)
    step.scales = np.where(is_live, scales, np.float32(0))


def lower_dense(builder: Builder, operator: Operator) -> View:
    """Lower FULLY_CONNECTED."""
    if operator.options["weights_format"] != 0:
        raise refuse("FULLY_CONNECTED with shuffled weights")
    return _dense(builder, operator, builder.constant(operator, 1, "int8"))


def _dense(builder: Builder, operator: Operator, kernel: npt.NDArray[np.int8]) -> View:
    """Lower a dense layer: over an image it is a convolution whose kernel is as large as the image."""
    view = builder.views[operator.inputs[0]]
    flat = view.addresses.reshape(-1)
    if flat.size != kernel.shape[1]:
        raise refuse(f"{operator.name} on {flat.size} cells with weights of {list(kernel.shape)}")
    tensor = builder.tensor(operator.inputs[0])
    source = view.buffer
    is_whole = source != CALLER and flat.size == builder.buffers[source].addresses.size
    if not is_whole or builder.buffers[source].height > _MAX_KERNEL_ROWS:
        source = builder.canonical(View(view.buffer, flat[None]), tensor)
        flat = builder.buffers[source].addresses.reshape(-1)
    image = builder.buffers[source]
    weights = np.zeros((kernel.shape[0], image.height * image.width * image.depth), np.int8)
    weights[:, flat] = kernel
    weights = weights.reshape(-1, image.height, image.width, image.depth)[..., : image.channels]
    made, low, high = builder.made(operator)
    target = builder.buffer((1, 1, kernel.shape[0]), made)
    step = Step(Kind.CONV, (source,), target, (image.height, image.width), low=low, high=high)
    _fold(builder, operator, step, weights)
    builder.steps.append(step)
    return builder.view(target, made.shape)
