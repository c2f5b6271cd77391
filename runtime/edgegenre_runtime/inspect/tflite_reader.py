"""Reading a .tflite without running it: the flatbuffer gives tensors, operators and the multiply-adds."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgegenre_runtime.errors import ExportError

from .model_report import ModelReport, TensorRecord
from .multiply_adds import count_multiply_adds

__all__ = ["inspect_tflite"]

_CUSTOM = 32


def inspect_tflite(model: bytes) -> ModelReport:
    """Return the model report of a .tflite; raises :class:`ExportError` if it is none."""
    try:
        content = schema.ModelT.InitFromPackedBuf(model, 0)
        records = [_record(content, graph, i) for graph in content.subgraphs for i in range(len(graph.tensors))]
        names = _names(schema.BuiltinOperator)
        codes = [_op_name(code, names) for code in content.operatorCodes]
        ops = [(codes[op.opcodeIndex], op, graph) for graph in content.subgraphs for op in graph.operators]
        n_macs = sum(_macs(name, op, graph) for name, op, graph in ops)
    except Exception as error:
        raise ExportError("this is not a .tflite model: the file is damaged") from error
    return ModelReport(
        format="tflite",
        ops=tuple(name for name, _, _ in ops),
        tensors=tuple(records),
        faults=tuple(f"tensor {t.name} is {t.dtype}" for t in records if "float" in t.dtype),
        n_macs=n_macs,
        n_bytes=len(model),
    )


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _op_name(code: Any, names: dict[int, str]) -> str:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return f"CUSTOM {code.customCode.decode()}" if number == _CUSTOM else names[number]


def _record(content: Any, graph: Any, index: int) -> TensorRecord:
    tensor = graph.tensors[index]
    scales, zeros = _scales(tensor)
    return TensorRecord(
        name=tensor.name.decode(),
        shape=_shape(tensor),
        dtype=_names(schema.TensorType)[tensor.type].lower(),
        role=_role(content, graph, index),
        scale=scales[0] if scales else None,
        zero_point=zeros[0] if zeros else None,
        n_scales=len(scales),
    )


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _scales(tensor: Any) -> tuple[list[float], list[int]]:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None:
        return [], []
    return [float(s) for s in quantization.scale], [int(z) for z in quantization.zeroPoint]


def _role(content: Any, graph: Any, index: int) -> str:
    if index in graph.inputs:
        return "input"
    if index in graph.outputs:
        return "output"
    data = content.buffers[graph.tensors[index].buffer].data
    return "activation" if data is None or not len(data) else "constant"


def _macs(name: str, op: Any, graph: Any) -> int:
    """Return an operator's multiply-adds, from the shapes of what it takes and gives."""
    inputs = [_shape(graph.tensors[i]) if i >= 0 else () for i in op.inputs]
    outputs = _shape(graph.tensors[op.outputs[0]])
    if name in ("CONV_2D", "FULLY_CONNECTED"):  # weights [out, height, width, in / groups] and [out, in]
        return count_multiply_adds("weighted", inputs=inputs[0], weights=inputs[1], outputs=outputs)
    if name == "DEPTHWISE_CONV_2D":  # weights [1, height, width, out]
        _, height, width, channels = inputs[1]
        return count_multiply_adds("weighted", inputs=inputs[0], weights=(channels, height, width), outputs=outputs)
    if name == "TRANSPOSE_CONV":  # shape, weights [out, height, width, in], input
        *spread, n_in = inputs[1]
        return count_multiply_adds("transposed", inputs=inputs[2], weights=(n_in, *spread), outputs=outputs)
    if name == "BATCH_MATMUL":
        summed = inputs[0][-2 if op.builtinOptions.adjX else -1]
        return count_multiply_adds("matmul", inputs=(summed,), weights=(), outputs=outputs)
    return 0
