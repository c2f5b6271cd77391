"""A .tflite as records: tensors, operators and constants, read with NumPy alone.

Field numbers are those of TensorFlow Lite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .flatbuffer import Table, root_table
from .operator_names import OPERATOR_NAMES

__all__ = ["Graph", "Operator", "Tensor", "read_graph"]

_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16",
    8: "complex64", 9: "int8", 10: "float64", 12: "uint64", 15: "uint32", 16: "uint16", 17: "int4",
}  # fmt: skip
_CUSTOM = 32
_OPTIONS = {
    "CONV_2D": {"padding": 0, "stride_w": 1, "stride_h": 2, "activation": 3, "dilation_w": 4, "dilation_h": 5},
    "DEPTHWISE_CONV_2D": {
        "padding": 0, "stride_w": 1, "stride_h": 2, "multiplier": 3, "activation": 4, "dilation_w": 5, "dilation_h": 6,
    },
    "MAX_POOL_2D": {"padding": 0, "stride_w": 1, "stride_h": 2, "width": 3, "height": 4, "activation": 5},
    "AVERAGE_POOL_2D": {"padding": 0, "stride_w": 1, "stride_h": 2, "width": 3, "height": 4, "activation": 5},
    "FULLY_CONNECTED": {"activation": 0, "weights_format": 1, "keep_num_dims": 2},
    "CONCATENATION": {"axis": 0, "activation": 1},
    "ADD": {"activation": 0},
    "MUL": {"activation": 0},
    "BATCH_MATMUL": {"adjoint_x": 0, "adjoint_y": 1},
}  # fmt: skip
_BYTES = {"padding", "activation", "weights_format", "keep_num_dims", "adjoint_x", "adjoint_y"}
_DEFAULTS = {"dilation_w": 1, "dilation_h": 1}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor of a graph.

    Attributes
    ----------
    name, shape, dtype
        As in the file; dtype in lower case, e.g. ``"int8"``.
    scales, zero_points
        float32 [n] and int64 [n]: one for the tensor, one for each index of ``channel_axis``, or none.
    data
        The constant's values in the tensor's shape; None for an activation.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    channel_axis: int
    data: npt.NDArray[Any] | None

    @property
    def constant(self) -> npt.NDArray[Any]:
        """The values of a constant; raises :class:`ValueError` for an activation."""
        if self.data is None:
            raise ValueError(f"the tensor {self.name} is no constant")
        return self.data

    @property
    def scale(self) -> np.float32:
        """What one step is worth; of a tensor that has one scale."""
        scale: np.float32 = self.scales[0]
        return scale

    @property
    def zero_point(self) -> int:
        """The step that stands for 0; of a tensor that has one scale."""
        return int(self.zero_points[0])


@dataclasses.dataclass(frozen=True, slots=True)
class Operator:
    """One operator: its name in the schema, the tensors it takes (-1: left out) and gives, and its options."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """One subgraph, its operators in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(model: bytes) -> tuple[Graph, ...]:
    """Read the subgraphs of a .tflite.

    Raises
    ------
    ValueError
        If the file is cut short, damaged or no .tflite.
    """
    root = root_table(model, b"TFL3")
    names = root.tables(1, _operator_name)
    buffers = root.tables(4, lambda buffer: _content(buffer, model))
    graphs = root.tables(2, lambda graph: _graph(graph, names, buffers))
    if not graphs:
        raise ValueError("the file holds no subgraph")
    return graphs


def _content(buffer: Table, model: bytes) -> npt.NDArray[Any] | None:
    """Return a constant's bytes, which stand in the table or, of a larger model, behind the flatbuffer."""
    offset, n_bytes = buffer.scalar(1, "Q"), buffer.scalar(2, "Q")
    if offset <= 1:
        return buffer.array(0, "u1")
    if offset + n_bytes > len(model):
        raise ValueError("a constant ends outside of the file")
    return np.frombuffer(model, "u1", n_bytes, offset)


def _operator_name(code: Table) -> str:
    number = max(code.scalar(0, "b"), code.scalar(3, "i"))
    if number == _CUSTOM:
        return f"CUSTOM {code.text(1)}"
    return OPERATOR_NAMES[number] if 0 <= number < len(OPERATOR_NAMES) else f"OPERATOR {number}"


def _graph(table: Table, names: tuple[str, ...], buffers: tuple[npt.NDArray[Any] | None, ...]) -> Graph:
    tensors = table.tables(0, lambda tensor: _tensor(tensor, buffers))
    operators = table.tables(3, lambda operator: _operator(operator, names))
    inputs, outputs = _integers(table, 1), _integers(table, 2)
    used = {i for operator in operators for i in (*operator.inputs, *operator.outputs)}.union(inputs, outputs)
    if used and (min(used) < -1 or max(used) >= len(tensors)):
        raise ValueError("an operator names a tensor that is not there")
    return Graph(tensors, operators, inputs, outputs)


def _tensor(table: Table, buffers: tuple[npt.NDArray[Any] | None, ...]) -> Tensor:
    shape, dtype = _integers(table, 0), _DTYPES.get(table.scalar(1, "b"), "unknown")
    quantization = table.table(4)
    scales = None if quantization is None else quantization.array(2, "<f4")
    zeros = None if quantization is None else quantization.array(3, "<i8")
    n_scales = 0 if scales is None else len(scales)
    if zeros is None or len(zeros) != n_scales:
        zeros = np.zeros(n_scales, np.int64)
    index = table.scalar(2, "I")
    if index >= len(buffers):
        raise ValueError("a tensor names a buffer that is not there")
    return Tensor(
        name=table.text(3),
        shape=shape,
        dtype=dtype,
        scales=np.zeros(0, np.float32) if scales is None else scales.astype(np.float32),
        zero_points=zeros.astype(np.int64),
        channel_axis=0 if quantization is None else quantization.scalar(6, "i"),
        data=_constant(buffers[index], dtype, shape),
    )


def _constant(content: npt.NDArray[Any] | None, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    if content is None or not len(content):
        return None
    if dtype in {"string", "unknown", "int4"}:
        return content
    values: npt.NDArray[Any] = content.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return values


def _operator(table: Table, names: tuple[str, ...]) -> Operator:
    index = table.scalar(0, "I")
    if index >= len(names):
        raise ValueError("an operator has no code")
    name, options = names[index], table.table(4)
    fields = _OPTIONS.get(name, {}) if options is not None else {}
    values = {
        key: options.scalar(field, "b" if key in _BYTES else "i", _DEFAULTS.get(key, 0))
        for key, field in fields.items()
        if options is not None
    }
    return Operator(name, _integers(table, 1), _integers(table, 2), values)


def _integers(table: Table, field: int) -> tuple[int, ...]:
    values = table.array(field, "<i4")
    return () if values is None else tuple(int(value) for value in values)
