"""From the operators of a ``.tflite`` to the steps of the engine: padding folded in, views resolved, zeros folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..arithmetic import (
    activation_range,
    add_constants,
    mean_constants,
    new_scale_table,
    output_scales,
    requantize,
    sum_constants,
)
from .builder import Builder, View, refuse, same_padding
from .convolution import lower_conv, lower_dense, lower_depthwise
from .graph import Graph, Operator
from .program import CALLER, Kind, Program, Step

__all__ = ["lower"]


def lower(graph: Graph) -> Program:
    """Turn a graph into a program without a plan.

    Parameters
    ----------
    graph
        One int8 input, batch 1; int8 logits, and behind them at most one vector, the embedding.

    Raises
    ------
    ExportError
        If an operator, a shape or a type is outside of what the engine takes; the message names it.
    """
    builder = Builder(graph)
    if len(builder.graph.inputs) != 1 or len(builder.graph.outputs) not in (1, 2):
        raise refuse(f"a network of {len(builder.graph.inputs)} inputs and {len(builder.graph.outputs)} outputs")
    first, (last, *more) = builder.graph.inputs[0], builder.graph.outputs
    source = builder.tensor(first)
    if source.shape[:1] != (1,) or len(source.shape) > 4:
        raise refuse(f"an input of shape {list(source.shape)}")
    builder.views[first] = View(CALLER, np.arange(np.prod(source.shape), dtype=np.int64).reshape(source.shape))
    for operator in builder.graph.operators:
        _lower(builder, operator)
        if operator.outputs[0] in more:
            _as_vector(builder, operator.outputs[0])
    if last not in builder.views:
        raise refuse("an output that no operator makes")
    output = builder.canonical(builder.views[last], builder.tensor(last))
    if builder.buffers[output].height * builder.buffers[output].width != 1:
        raise refuse("an output that is an image")
    embedding = builder.views[more[0]].buffer if more else None
    builder.part_copied_from_padded()
    return Program(builder.buffers, builder.steps, source.shape, source.scale, source.zero_point, output, embedding)


def _as_vector(builder: Builder, index: int) -> None:
    """Have a tensor lie as one cell, where the caller finds it after a run."""
    view, tensor = builder.views[index], builder.tensor(index)
    buffer = builder.canonical(View(view.buffer, view.addresses.reshape(1, -1)), tensor)
    if builder.buffers[buffer].height * builder.buffers[buffer].width != 1:
        raise refuse("a second output that is an image")
    builder.views[index] = builder.view(buffer, tensor.shape)


def _lower(builder: Builder, operator: Operator) -> None:
    known = _LOWERINGS.get(operator.name)
    if known is None:
        raise refuse(f"the operator {operator.name}")
    if operator.name not in _TAKE_EDGES and any(builder.views[i].edges for i in operator.inputs if i in builder.views):
        raise refuse("PAD before another operator than a convolution")
    if len(operator.outputs) != 1 or operator.inputs[0] not in builder.views:
        raise refuse(f"{operator.name} on a constant")
    builder.views[operator.outputs[0]] = known(builder, operator)


def _add(builder: Builder, operator: Operator) -> View:
    made, low, high = builder.made(operator)
    if any(i not in builder.views for i in operator.inputs):
        raise refuse("ADD of a constant")
    a, b = (builder.image(i, "ADD", is_padded=True)[0] for i in operator.inputs)
    one, other = builder.buffers[a], builder.buffers[b]
    if one.addresses.shape != other.addresses.shape or one.depth != other.depth:
        raise refuse("ADD of tensors of two shapes")
    try:
        found = add_constants((one.scale, one.zero_point), (other.scale, other.zero_point), made.scale)
    except ValueError as error:
        raise refuse(str(error)) from error
    target = builder.buffer((one.height, one.width, one.channels), made, one.depth)
    numbers = (found.factor_a, found.factor_b, found.bias, found.shift)
    builder.steps.append(Step(Kind.ADD, (a, b), target, low=low, high=high, numbers=numbers))
    return builder.view(target, made.shape)


def _product(builder: Builder, operator: Operator) -> View:
    """Lower MUL by one constant number."""
    made, low, high = builder.made(operator)
    given, factor = builder.tensor(operator.inputs[0]), builder.tensor(operator.inputs[1])
    if factor.data is None or factor.data.size != 1:
        raise refuse("MUL by more than one constant number")
    steps = np.arange(-128, 128) - given.zero_point
    scale = output_scales(given.scale, factor.scales, made.scale)
    table = requantize(steps * (int(factor.data.flat[0]) - factor.zero_point), scale, made.zero_point, low, high)
    return builder.look_up(operator, table)


def _slice(builder: Builder, operator: Operator) -> View:
    made, source = builder.tensor(operator.outputs[0]), builder.tensor(operator.inputs[0])
    if (source.scale, source.zero_point) != (made.scale, made.zero_point):
        raise refuse("SLICE between two scales")
    view, first = builder.views[operator.inputs[0]], builder.constant(operator, 1, "int32").tolist()
    n_axes = view.addresses.ndim
    if not len(first) == len(made.shape) == n_axes:
        raise refuse(f"SLICE of {len(made.shape)} axes from {n_axes}")
    cells, edges = view.addresses, list(view.edges or ((0, 0),) * n_axes)
    for axis, (at, size) in enumerate(zip(first, made.shape, strict=True)):
        if not 0 <= at <= source.shape[axis] - size:
            raise refuse(f"SLICE from {at}, {size} of {source.shape[axis]}")
        if view.n_columns > 1 and axis == n_axes - 1:
            continue  # whole, as its reader
        start = at - edges[axis][0]
        stop = start + size + (view.n_columns - 1 if axis == n_axes - 2 else 0)
        edges[axis] = (max(0, -start), max(0, stop - cells.shape[axis]))
        cells = cells.take(range(max(0, start), min(stop, cells.shape[axis])), axis)
    if not cells.size:
        raise refuse("SLICE of nothing but padding")
    return View(view.buffer, cells, tuple(edges) if np.any(edges) else (), view.n_columns)


def _pool(builder: Builder, operator: Operator) -> View:
    made, low, high = builder.made(operator)
    source, edges = builder.image(operator.inputs[0], operator.name)
    builder.check_scale(operator, source, made)
    image, options = builder.buffers[source], operator.options
    size, stride = (options["height"], options["width"]), (options["stride_h"], options["stride_w"])
    if size == stride == (1, 1) and (low, high) == (-128, 127):
        return builder.view(source, made.shape)
    if options["padding"] == 0:  # SAME
        lengths = (image.height, image.width)
        edges = (same_padding(lengths[0], size[0], stride[0]), same_padding(lengths[1], size[1], stride[1]))
    kind = Kind.MAX if operator.name == "MAX_POOL_2D" else Kind.AVERAGE
    height, width, channels = made.shape[1:]
    target = builder.buffer((height, width, channels), made, image.depth)
    padding = (edges[0][0], edges[1][0])
    builder.steps.append(Step(kind, (source,), target, size, stride, padding, low=low, high=high))
    return builder.view(target, made.shape)


def _clip(builder: Builder, operator: Operator) -> View:
    """Lower a ReLU on its own: the maximum over one cell, clipped."""
    made = builder.tensor(operator.outputs[0])
    source, _ = builder.image(operator.inputs[0], operator.name)
    builder.check_scale(operator, source, made)
    limits = activation_range(1 if operator.name == "RELU" else 3, made.scale, made.zero_point)
    low, high = limits or (-128, 127)
    image = builder.buffers[source]
    target = builder.buffer((image.height, image.width, image.channels), made, image.depth)
    builder.steps.append(Step(Kind.MAX, (source,), target, low=low, high=high))
    return builder.view(target, made.shape)


def _reduce(builder: Builder, operator: Operator) -> View:
    """MEAN, SUM and REDUCE_MAX over rows, columns or both, however the tensor's axes lie in the buffer."""
    made = builder.tensor(operator.outputs[0])
    view, tensor = builder.views[operator.inputs[0]], builder.tensor(operator.inputs[0])
    if view.buffer == CALLER:
        view = builder.view(builder.canonical(view, tensor), tensor.shape)
    image, shape = builder.buffers[view.buffer], view.addresses.shape
    axes = sorted({int(axis) % len(shape) for axis in np.ravel(builder.constant(operator, 1, "int32"))})
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    groups = view.addresses.transpose(kept + axes).reshape(int(np.prod([shape[i] for i in kept])), -1)
    rows, columns, _ = np.unravel_index(groups, (image.height, image.width, image.depth))
    size = (int(np.ptp(rows[0])) + 1, int(np.ptp(columns[0])) + 1)
    is_whole = size[0] in (1, image.height) and size[1] in (1, image.width)
    if (
        not is_whole
        or size[0] * size[1] != groups.shape[1]
        or (groups % image.depth != groups[:, :1] % image.depth).any()
    ):
        raise refuse(f"{operator.name} over channels")
    target = builder.buffer((image.height // size[0], image.width // size[1], image.channels), made, image.depth)
    if operator.name in ("MEAN", "SUM"):
        source, goal = (tensor.scale, tensor.zero_point), (made.scale, made.zero_point)
        constants = (mean_constants if operator.name == "MEAN" else sum_constants)(source, goal, groups.shape[1])
        scales = np.array(constants, np.float32)
        builder.steps.append(Step(Kind.MEAN, (view.buffer,), target, size, size, scales=scales))
    else:
        builder.check_scale(operator, view.buffer, made)
        builder.steps.append(Step(Kind.MAX, (view.buffer,), target, size, size))
    first = groups.min(axis=1)
    place = np.unravel_index(first, (image.height, image.width, image.depth))
    reduced = builder.buffers[target]
    addresses = (place[0] // size[0] * reduced.width + place[1] // size[1]) * reduced.depth + place[2]
    return View(target, addresses.reshape(made.shape))


def _pad(builder: Builder, operator: Operator) -> View:
    made, edges = builder.tensor(operator.outputs[0]), builder.constant(operator, 1, "int32")
    view, source = builder.views[operator.inputs[0]], builder.tensor(operator.inputs[0])
    if (source.scale, source.zero_point) != (made.scale, made.zero_point):
        raise refuse("PAD between two scales")
    if edges.shape != (view.addresses.ndim, 2) or (edges < 0).any():
        raise refuse(f"PAD of {edges.tolist()}")
    return View(view.buffer, view.addresses, tuple((int(before), int(behind)) for before, behind in edges))


def _reshape(builder: Builder, operator: Operator) -> View:
    view = builder.views[operator.inputs[0]]
    return View(view.buffer, view.addresses.reshape(builder.tensor(operator.outputs[0]).shape))


def _transpose(builder: Builder, operator: Operator) -> View:
    view, order = builder.views[operator.inputs[0]], builder.constant(operator, 1, "int32").tolist()
    return View(view.buffer, view.addresses.transpose(order), tuple(view.edges[axis] for axis in order if view.edges))


def _concatenate(builder: Builder, operator: Operator) -> View:
    made, low, high = builder.made(operator)
    axis = operator.options["axis"] % len(made.shape) - len(made.shape) + 3
    if len(made.shape) > 4 or axis < 0 or any(i not in builder.views for i in operator.inputs):
        raise refuse("CONCATENATION of constants or batches")
    parts = [builder.image(i, "CONCATENATION", is_padded=True)[0] for i in operator.inputs]
    joined = parts[0]
    for part in parts[1:]:
        builder.check_scale(operator, part, made)
        builder.check_scale(operator, joined, made)
        shape = list(builder.buffers[joined].addresses.shape)
        shape[axis] += builder.buffers[part].addresses.shape[axis]
        target = builder.buffer((shape[0], shape[1], shape[2]), made)
        builder.steps.append(Step(Kind.CONCATENATE, (joined, part), target, low=low, high=high, numbers=(axis,)))
        joined = target
    return builder.view(joined, made.shape)


def _new_scale(builder: Builder, operator: Operator) -> View:
    made, given = builder.tensor(operator.outputs[0]), builder.tensor(operator.inputs[0])
    if (given.scale, given.zero_point) == (made.scale, made.zero_point):
        return builder.views[operator.inputs[0]]
    table = new_scale_table((given.scale, given.zero_point), (made.scale, made.zero_point))
    return builder.look_up(operator, table)


_LOWERINGS: Mapping[str, Callable[[Builder, Operator], View]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenate,
    "CONV_2D": lower_conv,
    "DEPTHWISE_CONV_2D": lower_depthwise,
    "FULLY_CONNECTED": lower_dense,
    "MAX_POOL_2D": _pool,
    "MEAN": _reduce,
    "MUL": _product,
    "PAD": _pad,
    "QUANTIZE": _new_scale,
    "REDUCE_MAX": _reduce,
    "RELU": _clip,
    "RELU6": _clip,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SQUEEZE": _reshape,
    "SUM": _reduce,
    "TRANSPOSE": _transpose,
}
_TAKE_EDGES = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "SLICE", "TRANSPOSE"))
