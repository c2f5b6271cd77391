"""The model report of an ONNX model."""

from __future__ import annotations

import collections
import math
from typing import Any

import numpy as np
import onnx

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.model_report import ModelReport, TensorRecord
from edgegenre_runtime.inspect.multiply_adds import LayerKind, count_multiply_adds
from edgegenre_runtime.network.interpreters import EMBEDDING

__all__ = ["inspect_onnx"]

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_MOVERS = ("Flatten", "Reshape", "Squeeze", "Transpose")
"""Operators that move values and change none: a quantizer behind one is as good as in front of it."""
_WEIGHTED: dict[str, LayerKind] = {
    "Conv": "weighted",
    "ConvTranspose": "transposed",
    "Gemm": "weighted",
    "MatMul": "matmul",
}


def inspect_onnx(model: bytes) -> ModelReport:
    """Return the model report of an .onnx; raises :class:`ExportError` if it is none.

    In a QDQ graph the arithmetic is written in float between DequantizeLinear and QuantizeLinear and run in
    integers. Faults: a float constant other than a scale, and a layer with weights that is not fed from
    DequantizeLinear or does not lead (through activations or pooling) into QuantizeLinear.
    """
    try:
        content = onnx.load_from_string(model)
        onnx.checker.check_model(content)
        return _report(onnx.shape_inference.infer_shapes(content).graph, len(model))
    except Exception as error:  # protobuf's, the checker's and NumPy's, of a graph that contradicts itself
        raise ExportError("this is not an .onnx model: the file is damaged") from error


def _report(graph: Any, n_bytes: int) -> ModelReport:
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type in _QUANTIZERS and len(node.input) == 3]
    scales = {
        (node.input[0] if node.op_type == "DequantizeLinear" else node.output[0]): (
            constants[node.input[1]],
            constants[node.input[2]],
        )
        for node in quantizers
        if set(node.input[1:]) <= set(constants)
    }
    parameters = {name for node in quantizers for name in node.input[1:]}
    records = [_value(value, "input", scales) for value in graph.input]
    records += [
        _record(name, array.shape, str(array.dtype), "constant", scales)
        for name, array in constants.items()
        if name not in parameters
    ]
    records += [_value(value, "activation", scales) for value in graph.value_info if value.name in scales]
    for i, value in enumerate(graph.output):
        records.append(_value(value, EMBEDDING if i and value.name == EMBEDDING else "output", scales))
    return ModelReport(
        format="onnx",
        ops=tuple(node.op_type for node in graph.node),
        tensors=tuple(records),
        faults=tuple(_faults(graph, constants)),
        n_macs=_multiply_adds(graph, constants),
        n_bytes=n_bytes,
    )


def _value(value: Any, role: str, scales: dict[str, Any]) -> TensorRecord:
    kind = value.type.tensor_type
    shape = _shape(value)
    dtype = str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    return _record(value.name, shape, dtype, role, scales)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(size.dim_value) for size in value.type.tensor_type.shape.dim)


def _multiply_adds(graph: Any, constants: dict[str, Any]) -> int:
    """Return the multiply-adds of the layers with weights, from the shapes of what they take and give."""
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes |= {name: array.shape for name, array in constants.items()}
    n_macs = 0
    for node in graph.node:
        if node.op_type in _WEIGHTED:
            inputs, weights, outputs = (shapes[name] for name in (*node.input[:2], node.output[0]))
            if (
                node.op_type == "Gemm"
            ):  # [in, out], or [out, in] with transB: the axis that is not the output's is summed
                weights = (outputs[-1], math.prod(weights) // outputs[-1])
            n_macs += count_multiply_adds(_WEIGHTED[node.op_type], inputs=inputs, weights=weights, outputs=outputs)
    return n_macs


def _record(name: str, shape: tuple[int, ...], dtype: str, role: str, scales: dict[str, Any]) -> TensorRecord:
    scale, zero_point = scales.get(name, (None, None))
    return TensorRecord(
        name=name,
        shape=shape,
        dtype=dtype,
        role=role,
        scale=None if scale is None else float(scale.flat[0]),
        zero_point=None if zero_point is None else int(zero_point.flat[0]),
        n_scales=0 if scale is None else math.prod(scale.shape),
    )


def _faults(graph: Any, constants: dict[str, Any]) -> list[str]:
    producers = {name: node.op_type for node in graph.node for name in node.output}
    consumers = collections.defaultdict(set)
    for node in graph.node:
        for name in node.input:
            consumers[name].add(node.op_type)
    scale_names = {node.input[1] for node in graph.node if node.op_type in _QUANTIZERS}
    faults = [
        f"constant {name} is {array.dtype}"
        for name, array in constants.items()
        if array.dtype.kind == "f" and name not in scale_names
    ]
    for node in graph.node:
        if node.op_type in _QUANTIZERS:
            continue
        floats = [name for name in node.input if name and constants.get(name, np.float32(0)).dtype.kind == "f"]
        odd = [name for name in floats if producers.get(name) not in ("DequantizeLinear", *_WEIGHTED)]
        if odd and node.op_type not in _MOVERS:
            faults.append(f"{node.op_type} takes {odd[0]}, which is not from DequantizeLinear")
        early = [name for name in node.output if not consumers[name] <= {"QuantizeLinear", "Relu", "Clip", *_MOVERS}]
        if early:
            faults.append(f"{node.op_type} gives {early[0]}, which is used before QuantizeLinear")
    return faults
