"""What the lowering of every operator shares: buffers, steps, and views of buffers.

A tensor is a view: a buffer and an array of addresses into it, so that RESHAPE, TRANSPOSE and SQUEEZE move nothing; a
step copies cells only where the one behind it cannot read them as they lie.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ExportError
from ..arithmetic import activation_range
from .graph import Graph, Operator, Tensor
from .program import CALLER, LANES, Buffer, Kind, Step, padded_depth

__all__ = ["NO_EDGES", "Builder", "View", "refuse", "same_padding"]

_MAX_SIZE = 4096
Edges = tuple[tuple[int, int], tuple[int, int]]
NO_EDGES: Edges = ((0, 0), (0, 0))
"""Cells above and below, left and right, that PAD asks for and a convolution behind it makes."""
_NONE = (0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """A tensor: where each of its cells stands in a buffer, int64 of the tensor's shape; edges not yet made.

    ``edges`` are cells before and behind, one pair an axis; ``addresses`` are without them. Empty: none. Where
    ``n_columns`` is not 1, ``addresses`` are an image of one channel, and the tensor's channels are so many neighboring
    columns of it: cell ``[row, x, c]`` is the image's ``[row, x + c]``.
    """

    buffer: int
    addresses: npt.NDArray[np.int64]
    edges: tuple[tuple[int, int], ...] = ()
    n_columns: int = 1


def refuse(what: str) -> ExportError:
    """Return the error for something that the engine does not take."""
    return ExportError(f"{what}: the engine does not take it, this network stays with LiteRT")


class Builder:
    """A program in the making: the graph, the buffers and steps so far, and the view of each tensor that is made."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.views: dict[int, View] = {}
        self._copies: dict[tuple[float, ...], int] = {}

    def tensor(self, index: int) -> Tensor:
        """Return an activation, checked to be int8 with one scale."""
        tensor = self.graph.tensors[index]
        if tensor.dtype != "int8" or len(tensor.scales) != 1 or not float(tensor.scale) > 0:
            raise refuse(f"the tensor {tensor.name} of {tensor.dtype} with {len(tensor.scales)} scales")
        if not -128 <= tensor.zero_point <= 127 or not all(1 <= size <= _MAX_SIZE for size in tensor.shape):
            raise refuse(f"the tensor {tensor.name} of shape {list(tensor.shape)}, zero point {tensor.zero_point}")
        return tensor

    def made(self, operator: Operator) -> tuple[Tensor, int, int]:
        """Return the output tensor, and the lowest and highest step of the fused activation."""
        made = self.tensor(operator.outputs[0])
        limits = activation_range(operator.options.get("activation", 0), made.scale, made.zero_point)
        if limits is None:
            raise refuse(f"{operator.name} with the fused activation {operator.options['activation']}")
        return made, *limits

    def constant(self, operator: Operator, position: int, dtype: str) -> npt.NDArray[Any]:
        """Return an input that is a constant of that type."""
        tensor = self.graph.tensors[operator.inputs[position]]
        if tensor.data is None or tensor.dtype != dtype:
            raise refuse(f"{operator.name} whose input {position} is no {dtype} constant")
        return tensor.data

    def buffer(self, shape: tuple[int, int, int], tensor: Tensor, depth: int | None = None) -> int:
        """Add a buffer of rows, columns, channels with a tensor's quantization; returns its index."""
        depth = padded_depth(shape[2]) if depth is None else depth
        self.buffers.append(Buffer(*shape, depth, tensor.scale, tensor.zero_point))
        return len(self.buffers) - 1

    def image(self, index: int, name: str, is_padded: bool = False, more: int = 0) -> tuple[int, Edges]:
        """Return the buffer that holds a tensor as an image, and edges (above, below), (left, right) yet to be made."""
        view, tensor = self.views[index], self.tensor(index)
        if len(tensor.shape) > 4 or tensor.shape[:1] != (1,):
            raise refuse(f"{name} on the shape {list(tensor.shape)}")
        outer, rows, columns, channels = ((_NONE,) * 4 + view.edges)[-4:]
        if outer != _NONE or channels != _NONE:
            raise refuse(f"PAD of {[list(edge) for edge in view.edges]} before {name}")
        return self.canonical(view, tensor, is_padded, more), (rows, columns)

    def canonical(self, view: View, tensor: Tensor, is_padded: bool = False, more: int = 0) -> int:
        """Return a buffer in which a view's cells lie as rows, columns, channels; copy them where they do not.

        ``is_padded``: its channels must be padded; few channels are not where a convolution alone reads them.
        ``more``: each channel stands there so many times more, side by side.
        """
        cells = view.addresses
        cells = cells.reshape((1,) * (4 - cells.ndim) + cells.shape)[0]
        is_there = view.buffer != CALLER and np.array_equal(cells, self.buffers[view.buffer].addresses)
        if is_there and not more and (not is_padded or self.buffers[view.buffer].depth % LANES == 0):
            return view.buffer
        strides = _strides(cells)
        if strides is None:
            raise refuse(f"the tensor {tensor.name}, reshaped so that it must be gathered")
        height, width, channels = cells.shape
        channels *= 1 + more
        depth = channels if channels < LANES and not is_padded else padded_depth(channels)
        numbers = (*strides, int(cells.flat[0]), more)
        key = (view.buffer, float(tensor.scale), tensor.zero_point, height, width, depth, *numbers)
        if key not in self._copies:
            self._copies[key] = self.buffer((height, width, channels), tensor, depth)
            self.steps.append(Step(Kind.COPY, (view.buffer,), self._copies[key], numbers=numbers))
        return self._copies[key]

    def look_up(self, operator: Operator, table: npt.NDArray[np.int8]) -> View:
        """Return an operator's output, each of whose cells is a function of the one at its place, int8 [256]."""
        made, given = self.tensor(operator.outputs[0]), self.tensor(operator.inputs[0])
        view = self.views[operator.inputs[0]]
        if made.shape != given.shape:
            raise refuse(f"{operator.name} between the shapes {list(given.shape)} and {list(made.shape)}")
        if view.buffer == CALLER:
            view = self.view(self.image(operator.inputs[0], operator.name)[0], given.shape)
        image = self.buffers[view.buffer]
        target = self.buffer((image.height, image.width, image.channels), made, image.depth)
        self.steps.append(Step(Kind.TABLE, (view.buffer,), target, weights=table))
        return View(target, view.addresses)

    def view(self, buffer: int, shape: tuple[int, ...]) -> View:
        """Return a whole buffer as a tensor of that shape."""
        return View(buffer, self.buffers[buffer].addresses.reshape(shape))

    def part_copied_from_padded(self) -> None:
        """Give convolutions an image of their own where copies read it too, which take it without padded columns."""
        copied = {step.inputs[0] for step in self.steps if step.kind is Kind.COPY} - {CALLER}
        for index in sorted(copied):
            image = self.buffers[index]
            if not (image.left or image.right):
                continue
            twin = len(self.buffers)
            self.buffers.append(image)
            self.buffers[index] = dataclasses.replace(image, left=0, right=0, has_zero_row=False)
            for step in self.steps:
                if step.kind in (Kind.CONV, Kind.DEPTHWISE):
                    step.inputs = tuple(twin if source == index else source for source in step.inputs)
            maker = next(at for at, step in enumerate(self.steps) if step.output == index)
            numbers = (image.width * image.depth, image.depth, 1, 0, 0)
            self.steps.insert(maker + 1, Step(Kind.COPY, (index,), twin, numbers=numbers))

    def check_scale(self, operator: Operator, source: int, made: Tensor) -> None:
        """Refuse an operator that only moves or compares steps where its output has another quantization."""
        image = self.buffers[source]
        if image.scale != made.scale or image.zero_point != made.zero_point:
            raise refuse(f"{operator.name} between two scales")


def same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding before and behind."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def _strides(cells: npt.NDArray[np.int64]) -> tuple[int, int, int] | None:
    """Return the address step of rows, columns and channels, or None where there is no constant one."""
    dense = (cells.shape[1] * cells.shape[2], cells.shape[2], 1)  # what an axis of one index steps by does not matter
    steps = tuple(
        int(np.take(cells, 1, axis).flat[0] - cells.flat[0]) if cells.shape[axis] > 1 else dense[axis]
        for axis in range(3)
    )
    grid = sum(step * index for step, index in zip(steps, np.indices(cells.shape), strict=True))
    return (steps[0], steps[1], steps[2]) if np.array_equal(cells, cells.flat[0] + grid) else None
