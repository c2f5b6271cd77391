"""Float ONNX → int8 ONNX (QDQ), input [1, 1, n_mels, frames], output logits [1, C]."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from edgegenre_export.activation_range import activation_range
from edgegenre_export.model_files import pack_onnx
from edgegenre_export.silence import converter
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db, cells_to_db
from edgegenre_runtime.network.interpreters import EMBEDDING

from .from_torch import INPUT, OUTPUT

__all__ = ["int8_onnx"]

_DENSE = {"Gemm", "MatMul", "Conv"}
_MOVERS = {"Add", "Concat", "DequantizeLinear", "Flatten", "QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze"}


def int8_onnx(
    float_model: bytes, windows: npt.NDArray[np.int8], spec: FrontendSpec, metadata: Mapping[str, str]
) -> bytes:
    """Quantize a float ONNX model to int8 QDQ with int8 window cells in, int8 logits and embedding out.

    Weights have one scale per channel; an activation's scale spans its
    :func:`~edgegenre_export.activation_range.activation_range` over the calibration windows. Scale and zero
    point of input and output are in ``metadata_props``.

    Parameters
    ----------
    float_model
        From :func:`.to_onnx.float_onnx`.
    windows
        int8 [N, n_mels, frames], calibration cells.
    spec
        Front-end; ``top_db`` sets the input scale.
    metadata
        More keys and values for ``metadata_props``.

    Raises
    ------
    ExportError
        If onnxruntime cannot quantize it.
    """
    scale = cell_scale_db(spec.top_db)
    pinned = {
        INPUT: [
            {
                "quant_type": QuantType.QInt8,
                "scale": np.array(scale, dtype=np.float32),
                "zero_point": np.array(CELL_ZERO_POINT, dtype=np.int8),
            }
        ]
    }
    with (
        converter("onnxruntime could not quantize the model"),
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "model.onnx"
        ranges = _ranges(float_model, windows, spec.top_db, Path(folder))
        quantize_static(
            _with_weights_of_their_own(onnx.load_from_string(float_model)),
            path,
            _Reader(windows[:1], spec.top_db),  # the ranges are passed below
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*QLinearOpsRegistry, *QDQRegistry, "Sub"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # a transposition of the input is an int8 operator too
            extra_options={"TensorQuantOverrides": {**ranges, **pinned}, "ForceQuantizeNoInputCheck": True},
        )
        model = onnx.load(path)
    output_scale, output_zero_point = _strip_ends(model)
    contract = {
        "input_scale_db": repr(scale),
        "input_zero_point": str(CELL_ZERO_POINT),
        "output_scale": repr(output_scale),
        "output_zero_point": str(output_zero_point),
    }
    return pack_onnx(model, {**metadata, **contract, **_add_embedding(model)})


def _with_weights_of_their_own(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give each layer weights of its own, in place: torch writes equal ones once.

    onnxruntime's ``session.x64quantprecision`` rewrites the weights of each layer, and fails at the second of a pair.
    """
    weights, seen = {tensor.name: tensor for tensor in model.graph.initializer}, set()
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name in weights and name in seen:
                copied = model.graph.initializer.add()
                copied.CopyFrom(weights[name])
                copied.name = node.input[i] = f"{name}_of_{node.name}_{i}"
            seen.add(name)
    return model


def _ranges(
    float_model: bytes, windows: npt.NDArray[np.int8], top_db: int, folder: Path
) -> dict[str, list[dict[str, np.float32]]]:
    """Return the range of each activation as onnxruntime's quantizer takes it."""
    (folder / "float.onnx").write_bytes(float_model)
    calibrator = create_calibrator(folder / "float.onnx", None, str(folder / "extremes.onnx"), CalibrationMethod.MinMax)
    session = calibrator.infer_session
    names = [output.name for output in session.get_outputs()]
    lows: dict[str, list[Any]] = {}
    highs: dict[str, list[Any]] = {}
    reader = _Reader(windows, top_db)
    while (inputs := reader.get_next()) is not None:
        for name, value in zip(names, session.run(names, inputs), strict=True):
            for ending, values in (("_ReduceMin", lows), ("_ReduceMax", highs)):
                if name.endswith(ending):
                    values.setdefault(name[: -len(ending)], []).append(value)
    ranges = {}
    for name, low in lows.items():
        ends = activation_range(low, highs[name], is_whole=name == OUTPUT)
        ranges[name] = [{end: np.float32(value) for end, value in zip(("rmin", "rmax"), ends, strict=True)}]
    return ranges


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped base class
    """Calibration windows one by one, as float32 dB above the floor."""

    def __init__(self, windows: npt.NDArray[np.int8], top_db: int) -> None:
        self._top_db = top_db
        self._windows: Iterator[npt.NDArray[np.int8]] = iter(windows)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """Return the next input, None behind the last."""
        cells = next(self._windows, None)
        if cells is None:
            return None
        return {INPUT: cells_to_db(cells, self._top_db)[None, None]}


def _strip_ends(model: onnx.ModelProto) -> tuple[float, int]:
    """Take away the quantizer of the input and the dequantizer of the output; return the latter's parameters."""
    graph = model.graph
    first = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUT]
    last = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] == OUTPUT]
    if len(first) != 1 or len(last) != 1:
        raise ExportError("the quantized ONNX graph does not begin and end in one quantizer: nothing to strip")
    renamed = {first[0].output[0]: INPUT, last[0].input[0]: OUTPUT}
    for node in (first[0], last[0]):
        graph.node.remove(node)
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = renamed.get(name, name)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.INT8
    del graph.value_info[:]
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return float(constants[last[0].input[1]]), int(constants[last[0].input[2]])


def _add_embedding(model: onnx.ModelProto) -> dict[str, str]:
    """Add the embedding to the outputs; returns what the metadata says of it, empty without one.

    It is the int8 tensor before the dequantizer of what every dense layer before the logits takes, as in
    :mod:`.embedding_output`.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found, pending = {}, [graph.output[0].name]
    while pending:
        node = makers.get(pending.pop())
        if node is None:
            return {}
        if node.op_type in _MOVERS:
            pending += [name for name in node.input if not _is_constant(name, makers, constants)]
        elif node.op_type in _DENSE:
            source = makers.get(node.input[0])
            if source is None or source.op_type != "DequantizeLinear":
                return {}
            found[source.input[0]] = source
        else:
            return {}
    if len(found) != 1:
        return {}
    ((name, source),) = found.items()
    shape = _shape_of(model, name)
    if len(shape) != 2 or name in {value.name for value in (*graph.input, *graph.output)}:
        return {}
    for node in graph.node:
        for names in (node.input, node.output):
            for i, old in enumerate(names):
                names[i] = EMBEDDING if old == name else old
    graph.output.append(onnx.helper.make_tensor_value_info(EMBEDDING, onnx.TensorProto.INT8, shape))
    scale, zero_point = (constants[i].flat[0] for i in source.input[1:3])
    return {"embedding_scale": repr(float(scale)), "embedding_zero_point": str(int(zero_point))}


def _is_constant(name: str, makers: dict[str, Any], constants: dict[str, Any]) -> bool:
    """Return whether a value is a constant, or one that is only dequantized."""
    node = makers.get(name)
    return name in constants or (node is not None and node.op_type == "DequantizeLinear" and node.input[0] in constants)


def _shape_of(model: onnx.ModelProto, name: str) -> list[int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {value.name: value.type.tensor_type.shape for value in inferred.value_info}
    return [int(size.dim_value) for size in shapes[name].dim] if name in shapes else []
