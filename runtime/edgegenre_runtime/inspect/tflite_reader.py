"""Reading a .tflite without running it: the flatbuffer gives tensors, operators and the multiply-adds."""

from __future__ import annotations

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.compiler.graph import Graph, Operator, read_graph
from edgegenre_runtime.network.interpreters import EMBEDDING

from .model_report import ModelReport, TensorRecord
from .multiply_adds import count_multiply_adds

__all__ = ["inspect_tflite"]


def inspect_tflite(model: bytes) -> ModelReport:
    """Return the model report of a .tflite; raises :class:`ExportError` if it is none."""
    try:
        graphs = read_graph(model)
        records = [_record(graph, i) for graph in graphs for i in range(len(graph.tensors))]
        ops = [(operator, graph) for graph in graphs for operator in graph.operators]
        n_macs = sum(_macs(operator, graph) for operator, graph in ops)
    except (ValueError, IndexError, KeyError) as error:
        raise ExportError("this is not a .tflite model: the file is damaged") from error
    return ModelReport(
        format="tflite",
        ops=tuple(operator.name for operator, _ in ops),
        tensors=tuple(records),
        faults=tuple(f"tensor {t.name} is {t.dtype}" for t in records if "float" in t.dtype),
        n_macs=n_macs,
        n_bytes=len(model),
    )


def _record(graph: Graph, index: int) -> TensorRecord:
    tensor = graph.tensors[index]
    is_quantized = len(tensor.scales) > 0
    return TensorRecord(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        role=_role(graph, index),
        scale=float(tensor.scale) if is_quantized else None,
        zero_point=tensor.zero_point if is_quantized else None,
        n_scales=len(tensor.scales),
    )


def _role(graph: Graph, index: int) -> str:
    if index in graph.inputs:
        return "input"
    if index in graph.outputs:
        return EMBEDDING if index in graph.outputs[1:] and graph.tensors[index].name == EMBEDDING else "output"
    return "activation" if graph.tensors[index].data is None else "constant"


def _macs(op: Operator, graph: Graph) -> int:
    """Return an operator's multiply-adds, from the shapes of what it takes and gives."""
    name, outputs = op.name, graph.tensors[op.outputs[0]].shape
    inputs = [graph.tensors[i].shape if i >= 0 else () for i in op.inputs]
    if name in ("CONV_2D", "FULLY_CONNECTED"):  # weights [out, height, width, in / groups] and [out, in]
        return count_multiply_adds("weighted", inputs=inputs[0], weights=inputs[1], outputs=outputs)
    if name == "DEPTHWISE_CONV_2D":  # weights [1, height, width, out]
        _, height, width, channels = inputs[1]
        return count_multiply_adds("weighted", inputs=inputs[0], weights=(channels, height, width), outputs=outputs)
    if name == "TRANSPOSE_CONV":  # shape, weights [out, height, width, in], input
        *spread, n_in = inputs[1]
        return count_multiply_adds("transposed", inputs=inputs[2], weights=(n_in, *spread), outputs=outputs)
    if name == "BATCH_MATMUL":
        summed = inputs[0][-2 if op.options["adjoint_x"] else -1]
        return count_multiply_adds("matmul", inputs=(summed,), weights=(), outputs=outputs)
    return 0
