"""Whether "int8" is true: the model report of an ONNX model, and what a model report must say."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any

import numpy as np
import onnx

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db
from edgegenre_runtime.inspect.model_report import ModelReport, TensorRecord
from edgegenre_runtime.inspect.multiply_adds import LayerKind, count_multiply_adds
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

__all__ = ["ModelReport", "TensorRecord", "inspect_onnx", "inspect_tflite", "require_int8", "require_waveform"]

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_MOVERS = ("Flatten", "Reshape", "Squeeze", "Transpose")
"""Operators that move values and change none: a quantizer behind one is as good as in front of it."""
_WEIGHTED: dict[str, LayerKind] = {
    "Conv": "weighted",
    "ConvTranspose": "transposed",
    "Gemm": "weighted",
    "MatMul": "matmul",
}


def require_int8(model_report: ModelReport, top_db: int) -> None:
    """Check that a model is int8 from input to output and takes window cells as they are.

    Raises
    ------
    ExportError
        If a tensor inside is float, input or output is not int8, or the input's scale is not exactly
        float32 ``top_db / 255`` with zero point -128.
    """
    given, made = model_report.only("input"), model_report.only("output")
    faults = list(model_report.faults)
    faults += [
        f"{tensor.role} {tensor.name} is {tensor.dtype}, not int8" for tensor in (given, made) if tensor.dtype != "int8"
    ]
    pinned = (cell_scale_db(top_db), CELL_ZERO_POINT)
    if (given.scale, given.zero_point) != pinned:
        faults.append(f"input scale and zero point are {given.scale}, {given.zero_point}, not {pinned[0]}, {pinned[1]}")
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise ExportError(f"the {model_report.format} model is not pure int8: {faults[0]}{more}")


def require_waveform(model_report: ModelReport, body: ModelReport) -> None:
    """Check that a waveform model is float32 PCM, front-end, then an int8 model as it is, then probabilities.

    Parameters
    ----------
    model_report
        Of ``model_audio.*``.
    body
        Of the int8 model that is in it.

    Raises
    ------
    ExportError
        If input or output is not float32, the int8 model's operators do not stand unchanged between a quantizer
        and a dequantizer with its softmax, or one of its tensors is missing or different.
    """
    quantize, dequantize = _QUANTISERS if model_report.format == "onnx" else ("QUANTIZE", "DEQUANTIZE")
    softmax = "Softmax" if model_report.format == "onnx" else "SOFTMAX"
    tail = (quantize, *body.ops, dequantize, softmax)
    if model_report.ops[-len(tail) :] != tail:
        raise ExportError(f"the {model_report.format} waveform model does not end in the operators of its int8 body")
    for tensor in (model_report.only("input"), model_report.only("output")):
        if tensor.dtype != "float32":
            raise ExportError(f"the waveform model's {tensor.role} {tensor.name} is {tensor.dtype}, not float32")
    there = {_without_role(tensor) for tensor in model_report.tensors}
    changed = [tensor.name for tensor in body.tensors if _without_role(tensor) not in there]
    if changed:
        raise ExportError(f"tensor {changed[0]} of the int8 model is not in the waveform model as it was")


def _without_role(tensor: TensorRecord) -> TensorRecord:
    return dataclasses.replace(tensor, role="")


def inspect_onnx(model: bytes) -> ModelReport:
    """Return the model report of an .onnx; raises :class:`ExportError` if it is none.

    In a QDQ graph the arithmetic is written in float between DequantizeLinear and QuantizeLinear and run in
    integers. Faults: a float constant other than a scale, and a layer with weights that is not fed from
    DequantizeLinear or does not lead (through activations or pooling) into QuantizeLinear.
    """
    try:
        content = onnx.load_from_string(model)
        onnx.checker.check_model(content)
        graph = onnx.shape_inference.infer_shapes(content).graph
    except Exception as error:
        raise ExportError("this is not an .onnx model: the file is damaged") from error
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type in _QUANTISERS and len(node.input) == 3]
    scales = {
        (node.input[0] if node.op_type == "DequantizeLinear" else node.output[0]): (
            constants[node.input[1]],
            constants[node.input[2]],
        )
        for node in quantizers
        if set(node.input[1:]) <= set(constants)
    }
    parameters = {name for node in quantizers for name in node.input[1:]}
    records = [_onnx_value(value, "input", scales) for value in graph.input]
    records += [
        _onnx_record(name, array.shape, str(array.dtype), "constant", scales)
        for name, array in constants.items()
        if name not in parameters
    ]
    records += [_onnx_value(value, "activation", scales) for value in graph.value_info if value.name in scales]
    records += [_onnx_value(value, "output", scales) for value in graph.output]
    return ModelReport(
        format="onnx",
        ops=tuple(node.op_type for node in graph.node),
        tensors=tuple(records),
        faults=tuple(_onnx_faults(graph, constants)),
        n_macs=_onnx_macs(graph, constants),
        n_bytes=len(model),
    )


def _onnx_value(value: Any, role: str, scales: dict[str, Any]) -> TensorRecord:
    kind = value.type.tensor_type
    shape = _onnx_shape(value)
    dtype = str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    return _onnx_record(value.name, shape, dtype, role, scales)


def _onnx_shape(value: Any) -> tuple[int, ...]:
    return tuple(int(size.dim_value) for size in value.type.tensor_type.shape.dim)


def _onnx_macs(graph: Any, constants: dict[str, Any]) -> int:
    """Return the multiply-adds of the layers with weights, from the shapes of what they take and give."""
    shapes = {value.name: _onnx_shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes |= {name: array.shape for name, array in constants.items()}
    n_macs = 0
    for node in graph.node:
        if node.op_type in _WEIGHTED:
            inputs, weights, outputs = (shapes[name] for name in (*node.input[:2], node.output[0]))
            if (
                node.op_type == "Gemm"
            ):  # [in, out], or [out, in] with transB: the other axis than the output's is summed
                weights = (outputs[-1], math.prod(weights) // outputs[-1])
            n_macs += count_multiply_adds(_WEIGHTED[node.op_type], inputs=inputs, weights=weights, outputs=outputs)
    return n_macs


def _onnx_record(name: str, shape: tuple[int, ...], dtype: str, role: str, scales: dict[str, Any]) -> TensorRecord:
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


def _onnx_faults(graph: Any, constants: dict[str, Any]) -> list[str]:
    makers = {name: node.op_type for node in graph.node for name in node.output}
    takers = collections.defaultdict(set)
    for node in graph.node:
        for name in node.input:
            takers[name].add(node.op_type)
    scale_names = {node.input[1] for node in graph.node if node.op_type in _QUANTISERS}
    faults = [
        f"constant {name} is {array.dtype}"
        for name, array in constants.items()
        if array.dtype.kind == "f" and name not in scale_names
    ]
    for node in graph.node:
        if node.op_type in _QUANTISERS:
            continue
        fed = [name for name in node.input if name and constants.get(name, np.float32(0)).dtype.kind == "f"]
        odd = [name for name in fed if makers.get(name) not in ("DequantizeLinear", *_WEIGHTED)]
        if odd and node.op_type not in _MOVERS:
            faults.append(f"{node.op_type} takes {odd[0]}, which is not from DequantizeLinear")
        kept = [name for name in node.output if not takers[name] <= {"QuantizeLinear", "Relu", "Clip", *_MOVERS}]
        if kept:
            faults.append(f"{node.op_type} gives {kept[0]}, which is used before QuantizeLinear")
    return faults
