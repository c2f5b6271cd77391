"""The int8 network in NumPy: small, slow and obvious. It defines what every other implementation must answer.

It runs the operators of a ``.tflite`` one after another on whole tensors, by the rules of :mod:`.arithmetic`. The
runtime falls back on it where neither the C engine nor an interpreter is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .arithmetic import (
    activation_range,
    add_constants,
    mean_constants,
    mean_steps,
    new_scale_table,
    output_scales,
    requantize,
    sum_constants,
)
from .compiler import read_network
from .compiler.graph import Graph, Operator, Tensor

__all__ = ["REFERENCE_OPERATORS", "Reference", "run_reference", "run_reference_outputs"]

Cells = npt.NDArray[np.int8]


def run_reference(graph: Graph, cells: Cells) -> Cells:
    """Run a network on one window.

    Parameters
    ----------
    graph
        From :func:`.compiler.graph.read_graph`; int8 throughout.
    cells
        int8, the values of the input tensor in any shape of the same size.

    Returns
    -------
    ndarray
        int8 [n_classes], the logits.

    Raises
    ------
    ValueError
        If an operator is not known here.
    """
    return run_reference_outputs(graph, cells)[0]


def run_reference_outputs(graph: Graph, cells: Cells) -> tuple[Cells, ...]:
    """Run a network on one window as :func:`run_reference` does; returns every output, flat: logits, embedding."""
    tensors, (first,) = graph.tensors, graph.inputs
    values: dict[int, Cells] = {first: cells.reshape(tensors[first].shape)}
    for operator in graph.operators:
        if operator.name not in REFERENCE_OPERATORS:
            raise ValueError(f"{operator.name} is not an operator of the engine")
        run, target = REFERENCE_OPERATORS[operator.name], operator.outputs[0]
        taken = [values.get(i) for i in operator.inputs]
        values[target] = run(operator, [tensors[i] for i in operator.inputs], tensors[target], taken)
    return tuple(values[index].reshape(-1) for index in graph.outputs)


class Reference:
    """An int8 ``.tflite`` run by NumPy; see :class:`.backends.Backend`.

    Raises
    ------
    ExportError
        If the file is damaged.
    ValueError
        If it has an operator that is not known here, or no int8 input and output.
    """

    def __init__(self, model: bytes) -> None:
        self._graph = read_network(model)
        source, target = (self._graph.tensors[i] for i in (self._graph.inputs[0], self._graph.outputs[0]))
        unknown = sorted({operator.name for operator in self._graph.operators} - set(REFERENCE_OPERATORS))
        if unknown or source.dtype != "int8" or target.dtype != "int8":
            raise ValueError(f"no int8 network of known operators (unknown: {unknown})")
        self.name = "NumPy reference"
        self.input_shape, self.output_shape = source.shape[1:3], target.shape
        self.input_quantization = (float(source.scale), source.zero_point)
        self.output_quantization = (float(target.scale), target.zero_point)
        beside = self._graph.tensors[self._graph.outputs[1]] if len(self._graph.outputs) == 2 else None
        self.embedding_dims = 0 if beside is None else int(np.prod(beside.shape))
        self.embedding_quantization = (0.0, 0) if beside is None else (float(beside.scale), beside.zero_point)

    def run_both(self, cells: Cells) -> tuple[Cells, Cells]:
        """Return logits int8 [n_classes] and the embedding int8 [D], which the network must have."""
        logits, embedding = run_reference_outputs(self._graph, cells)
        return logits, embedding

    def run(self, cells: Cells) -> Cells:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        return run_reference(self._graph, cells)


def _conv(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    """``out[y, x, o] = sum over ky, kx, c of in[y * stride + ky, x * stride + kx, c] * weight[o, ky, kx, c]``."""
    source, kernel = inputs[0], inputs[1]
    n_out, height, width, n_in = kernel.constant.shape
    patches = _patches(operator, values[0], (height, width), source.zero_point) - source.zero_point
    weights = kernel.constant.reshape(n_out, -1).astype(np.float64)
    n_groups = source.shape[3] // n_in
    columns = patches.reshape(*patches.shape[:4], n_groups, n_in).transpose(4, 0, 1, 2, 3, 5)
    parts = np.split(weights, n_groups)
    sums = [columns[g].reshape(*columns.shape[1:3], -1) @ parts[g].T for g in range(n_groups)]
    return _finish(operator, inputs, output, np.concatenate(sums, axis=-1))


def _depthwise(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    source, kernel = inputs[0], inputs[1]
    _, height, width, n_out = kernel.constant.shape
    patches = _patches(operator, values[0], (height, width), source.zero_point) - source.zero_point
    patches = np.repeat(patches, n_out // source.shape[3], axis=-1)
    sums = (patches * kernel.constant[0].astype(np.float64)).sum(axis=(2, 3))
    return _finish(operator, inputs, output, sums)


def _dense(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    weights = inputs[1].constant.astype(np.float64)
    rows = values[0].reshape(-1, weights.shape[1]).astype(np.float64) - inputs[0].zero_point
    return _finish(operator, inputs, output, rows @ weights.T)


def _finish(operator: Operator, inputs: list[Tensor], output: Tensor, sums: npt.NDArray[np.float64]) -> Cells:
    """Add the bias to exact sums (whole numbers below 2^53) and requantize."""
    if len(inputs) > 2 and inputs[2].data is not None:
        sums = sums + inputs[2].data
    scales = output_scales(inputs[0].scale, inputs[1].scales, output.scale)
    low, high = activation_range(operator.options["activation"], output.scale, output.zero_point) or (0, 0)
    return requantize(sums.astype(np.int64), scales, output.zero_point, low, high).reshape(output.shape)


def _patches(operator: Operator, image: Cells, size: tuple[int, int], fill: int) -> npt.NDArray[np.float64]:
    """Return the image under each position of the kernel, float64 [out height, out width, height, width, channels]."""
    strides = (operator.options["stride_h"], operator.options["stride_w"])
    apart = (operator.options.get("dilation_h", 1), operator.options.get("dilation_w", 1))
    reach = tuple((n - 1) * step + 1 for n, step in zip(size, apart, strict=True))
    if operator.options["padding"] == 0:  # SAME
        edges = [_same_padding(*one) for one in zip(image.shape[1:3], reach, strides, strict=True)]
        image = np.pad(image, ((0, 0), *edges, (0, 0)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(image[0], reach, axis=(0, 1))
    windows = windows[:: strides[0], :: strides[1], :, :: apart[0], :: apart[1]]
    patches: npt.NDArray[np.float64] = windows.transpose(0, 1, 3, 4, 2).astype(np.float64)
    return patches


def _clip(steps: npt.NDArray[Any], low: int, high: int) -> Cells:
    clipped: Cells = np.clip(steps, low, high).astype(np.int8)
    return clipped


def _same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def _add(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    a, b = inputs
    constants = add_constants((a.scale, a.zero_point), (b.scale, b.zero_point), output.scale)
    sums = constants.bias + values[0].astype(np.int64) * constants.factor_a
    steps = ((sums + values[1].astype(np.int64) * constants.factor_b) >> constants.shift) + output.zero_point
    low, high = activation_range(operator.options["activation"], output.scale, output.zero_point) or (0, 0)
    return _clip(steps, low, high)


def _product(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells | None]) -> Cells:
    a, b = (
        (tensor.constant if cells is None else cells).astype(np.int64) - tensor.zero_point
        for tensor, cells in zip(inputs, values, strict=True)
    )
    scale = output_scales(inputs[0].scale, inputs[1].scales, output.scale)
    low, high = activation_range(operator.options["activation"], output.scale, output.zero_point) or (0, 0)
    return requantize(a * b, scale, output.zero_point, low, high).reshape(output.shape)


def _slice(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    first = [int(at) for at in inputs[1].constant]
    return values[0][tuple(slice(at, at + size) for at, size in zip(first, output.shape, strict=True))]


def _max_pool(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    size = (operator.options["height"], operator.options["width"])
    low, high = activation_range(operator.options["activation"], output.scale, output.zero_point) or (0, 0)
    steps = _patches(operator, values[0], size, -128).max(axis=(2, 3))
    return _clip(steps, low, high).reshape(output.shape)


def _average_pool(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    size = (operator.options["height"], operator.options["width"])
    low, high = activation_range(operator.options["activation"], output.scale, output.zero_point) or (0, 0)
    sums = _patches(operator, values[0], size, 0).sum(axis=(2, 3))
    counts = _patches(operator, np.ones_like(values[0]), size, 0).sum(axis=(2, 3))
    steps = np.trunc((sums + np.where(sums > 0, 1, -1) * (counts // 2)) / counts)
    return _clip(steps, low, high).reshape(output.shape)


def _mean(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    axes = tuple(int(axis) for axis in np.ravel(inputs[1].constant))
    n_cells = values[0].size // (values[0].size // int(np.prod([values[0].shape[axis] for axis in axes])))
    rule = mean_constants if operator.name == "MEAN" else sum_constants
    constants = rule((inputs[0].scale, inputs[0].zero_point), (output.scale, output.zero_point), n_cells)
    return mean_steps(values[0].astype(np.int64).sum(axis=axes), *constants).reshape(output.shape)


def _reduce_max(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    axes = tuple(int(axis) for axis in np.ravel(inputs[1].constant))
    return np.asarray(values[0].max(axis=axes), np.int8).reshape(output.shape)


def _pad(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    edges = [(int(before), int(after)) for before, after in inputs[1].constant]
    return np.pad(values[0], edges, constant_values=inputs[0].zero_point)


def _reshape(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    return values[0].reshape(output.shape)


def _transpose(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    turned: Cells = values[0].transpose([int(axis) for axis in inputs[1].constant])
    return turned


def _concatenate(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    joined: Cells = np.concatenate(values, axis=operator.options["axis"])
    return joined


def _new_scale(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    source, target = (inputs[0].scale, inputs[0].zero_point), (output.scale, output.zero_point)
    return new_scale_table(source, target)[values[0].astype(np.int64) + 128]


def _relu(operator: Operator, inputs: list[Tensor], output: Tensor, values: list[Cells]) -> Cells:
    low, high = activation_range(1 if operator.name == "RELU" else 3, output.scale, output.zero_point) or (0, 0)
    return _clip(values[0], low, high)


REFERENCE_OPERATORS: Mapping[str, Callable[..., Cells]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONCATENATION": _concatenate,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "MUL": _product,
    "PAD": _pad,
    "QUANTIZE": _new_scale,
    "REDUCE_MAX": _reduce_max,
    "RELU": _relu,
    "RELU6": _relu,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SQUEEZE": _reshape,
    "SUM": _mean,
    "TRANSPOSE": _transpose,
}
"""What runs each operator: a function of the operator, its input tensors, its output tensor and the inputs' values."""
