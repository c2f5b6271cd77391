"""The certificate of a model file: every tensor's dtype and scale, and whether "int8" is true."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from edgegenre_runtime.frontend import ExportError

from .replay import INPUT_ZERO_POINT, input_scale_db

__all__ = ["Certificate", "TensorRecord", "inspect_onnx", "inspect_tflite", "require_int8"]

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclasses.dataclass(frozen=True, slots=True)
class TensorRecord:
    """One tensor of a model.

    Attributes
    ----------
    name, shape, dtype
        As in the file; dtype in lower case, e.g. ``"int8"``.
    role
        ``"input"``, ``"output"``, ``"constant"`` or ``"activation"``.
    scale, zero_point
        What a step is worth and the step that stands for 0, of the first channel; None if not quantised.
    n_scales
        How many scales there are: 1 for a tensor, more for one a channel, 0 if not quantised.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    scale: float | None
    zero_point: int | None
    n_scales: int


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """What is in a model file.

    Attributes
    ----------
    format
        ``"tflite"`` or ``"onnx"``.
    ops
        Operators in the order of the graph.
    tensors
        For TFLite all, for ONNX inputs, outputs, constants and integer activations; an ONNX scale or zero
        point is not a tensor here but stands with its tensor.
    faults
        What keeps the model from being pure int8, one sentence each (input scale aside).
    """

    format: str
    ops: tuple[str, ...]
    tensors: tuple[TensorRecord, ...]
    faults: tuple[str, ...]

    def only(self, role: str) -> TensorRecord:
        """Return the one input or output; raises :class:`ExportError` if there are more or none."""
        found = [tensor for tensor in self.tensors if tensor.role == role]
        if len(found) != 1:
            raise ExportError(f"the {self.format} model has {len(found)} {role}s; it must have one")
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    def format_table(self) -> str:
        """Return ops and tensors as text, one line a tensor."""
        counts = collections.Counter(self.ops)
        lines = [f"{self.format}: " + ", ".join(f"{n} × {op}" for op, n in counts.items())]
        lines.append(f"{'role':10} {'dtype':8} {'shape':18} {'scale':>14} {'zero':>5}  name")
        for t in self.tensors:
            shape = "×".join(str(size) for size in t.shape) or "scalar"
            scale = "" if t.scale is None else f"{t.scale:.6g}" + (f" (×{t.n_scales})" if t.n_scales > 1 else "")
            zero = "" if t.zero_point is None else str(t.zero_point)
            name = t.name if len(t.name) <= 44 else "…" + t.name[-43:]
            lines.append(f"{t.role:10} {t.dtype:8} {shape:18} {scale:>14} {zero:>5}  {name}")
        return "\n".join(lines)


def require_int8(certificate: Certificate, top_db: int) -> None:
    """Check that a model is int8 from input to output and takes window cells as they are.

    Raises
    ------
    ExportError
        If a tensor inside is float, input or output is not int8, or the input's scale is not exactly
        float32 ``top_db / 255`` with zero point -128.
    """
    given, made = certificate.only("input"), certificate.only("output")
    faults = list(certificate.faults)
    faults += [
        f"{tensor.role} {tensor.name} is {tensor.dtype}, not int8" for tensor in (given, made) if tensor.dtype != "int8"
    ]
    pinned = (input_scale_db(top_db), INPUT_ZERO_POINT)
    if (given.scale, given.zero_point) != pinned:
        faults.append(f"input scale and zero point are {given.scale}, {given.zero_point}, not {pinned[0]}, {pinned[1]}")
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise ExportError(f"the {certificate.format} model is not pure int8: {faults[0]}{more}")


def inspect_tflite(model: bytes) -> Certificate:
    """Return the certificate of a .tflite, read from the flatbuffer; raises :class:`ExportError` if it is none."""
    try:
        content = schema.ModelT.InitFromPackedBuf(model, 0)
        graphs = content.subgraphs
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in content.operatorCodes]
    except Exception as error:
        raise ExportError("this is not a .tflite model: the file is damaged") from error
    op_names = _names(schema.BuiltinOperator)
    dtypes = _names(schema.TensorType)
    records = []
    for graph in graphs:
        for index, tensor in enumerate(graph.tensors):
            scales, zeros = _tflite_scales(tensor)
            shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
            records.append(
                TensorRecord(
                    name=tensor.name.decode(),
                    shape=shape,
                    dtype=dtypes[tensor.type].lower(),
                    role=_tflite_role(content, graph, index),
                    scale=scales[0] if scales else None,
                    zero_point=zeros[0] if zeros else None,
                    n_scales=len(scales),
                )
            )
    ops = tuple(op_names[codes[op.opcodeIndex]] for graph in graphs for op in graph.operators)
    faults = tuple(f"tensor {t.name} is {t.dtype}" for t in records if "float" in t.dtype)
    return Certificate(format="tflite", ops=ops, tensors=tuple(records), faults=faults)


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _tflite_scales(tensor: Any) -> tuple[list[float], list[int]]:
    quantisation = tensor.quantization
    if quantisation is None or quantisation.scale is None:
        return [], []
    return [float(s) for s in quantisation.scale], [int(z) for z in quantisation.zeroPoint]


def _tflite_role(content: Any, graph: Any, index: int) -> str:
    if index in graph.inputs:
        return "input"
    if index in graph.outputs:
        return "output"
    data = content.buffers[graph.tensors[index].buffer].data
    return "activation" if data is None or not len(data) else "constant"


def inspect_onnx(model: bytes) -> Certificate:
    """Return the certificate of an .onnx; raises :class:`ExportError` if it is none.

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
    quantisers = [node for node in graph.node if node.op_type in _QUANTISERS and len(node.input) == 3]
    scales = {
        (node.input[0] if node.op_type == "DequantizeLinear" else node.output[0]): (
            constants[node.input[1]],
            constants[node.input[2]],
        )
        for node in quantisers
        if set(node.input[1:]) <= set(constants)
    }
    parameters = {name for node in quantisers for name in node.input[1:]}
    records = [_onnx_value(value, "input", scales) for value in graph.input]
    records += [
        _onnx_record(name, array.shape, str(array.dtype), "constant", scales)
        for name, array in constants.items()
        if name not in parameters
    ]
    records += [_onnx_value(value, "activation", scales) for value in graph.value_info if value.name in scales]
    records += [_onnx_value(value, "output", scales) for value in graph.output]
    ops = tuple(node.op_type for node in graph.node)
    return Certificate("onnx", ops, tuple(records), tuple(_onnx_faults(graph, constants)))


def _onnx_value(value: Any, role: str, scales: dict[str, Any]) -> TensorRecord:
    kind = value.type.tensor_type
    shape = tuple(int(size.dim_value) for size in kind.shape.dim)
    dtype = str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    return _onnx_record(value.name, shape, dtype, role, scales)


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
        if odd:
            faults.append(f"{node.op_type} takes {odd[0]}, which is not from DequantizeLinear")
        kept = [name for name in node.output if not takers[name] <= {"QuantizeLinear", "Relu", "Clip"}]
        if kept:
            faults.append(f"{node.op_type} gives {kept[0]}, which is used before QuantizeLinear")
    return faults
