"""torch → ONNX, float32 or int8 (QDQ), input [1, 1, n_mels, frames], output logits [1, C]."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import create_calibrator
from torch import nn

from edgegenre_export.quantize.fixed_ranges import activation_range
from edgegenre_export.silence import converter
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db, cells_to_db

__all__ = ["convert_onnx", "float_onnx", "int8_onnx"]

_OPSET = 20
_INPUT, _OUTPUT = "window", "logits"


def float_onnx(network: nn.Module, spec: FrontendSpec, metadata: dict[str, str]) -> bytes:
    """Convert a network to float32 ONNX.

    Parameters
    ----------
    network
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    spec
        Front-end; gives the shape of a window.
    metadata
        Keys and values for ``metadata_props``.

    Raises
    ------
    ExportError
        If torch cannot convert it.
    """
    return convert_onnx(network, torch.zeros(1, 1, spec.n_mels, spec.frames_per_window), _INPUT, _OUTPUT, metadata)


def convert_onnx(module: nn.Module, example: torch.Tensor, given: str, made: str, metadata: dict[str, str]) -> bytes:
    """Convert a module of one input and one output, called ``given`` and ``made``; see :func:`float_onnx`."""
    with converter("torch could not convert the network to ONNX"):
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[given],
            output_names=[made],
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise ExportError("torch gave no ONNX program for the network")
        return _finish(onnx.load_from_string(program.model_proto.SerializeToString()), metadata)


def int8_onnx(float_model: bytes, windows: npt.NDArray[np.int8], spec: FrontendSpec, metadata: dict[str, str]) -> bytes:
    """Quantize a float ONNX model to int8 QDQ with int8 window cells in and int8 logits out.

    Weights have a scale a channel; an activation's scale spans what
    :func:`edgegenre_export.quantize.fixed_ranges.activation_range` says of the
    calibration windows. Scale and zero point of input and output are in ``metadata_props``.

    Parameters
    ----------
    float_model
        From :func:`float_onnx`.
    windows
        int8 [N, n_mels, frames], calibration cells.
    spec
        Front-end; ``top_db`` gives the input scale.
    metadata
        More keys and values for ``metadata_props``.

    Raises
    ------
    ExportError
        If onnxruntime cannot quantize it.
    """
    scale = cell_scale_db(spec.top_db)
    pinned = {
        _INPUT: [
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
            onnx.load_from_string(float_model),
            path,
            _Reader(windows[:1], spec.top_db),  # ranges are given below
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": {**ranges, **pinned}},
        )
        model = onnx.load(path)
    output_scale, output_zero_point = _strip_ends(model)
    contract = {
        "input_scale_db": repr(scale),
        "input_zero_point": str(CELL_ZERO_POINT),
        "output_scale": repr(output_scale),
        "output_zero_point": str(output_zero_point),
    }
    return _finish(model, {**metadata, **contract})


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
    while (given := reader.get_next()) is not None:
        for name, value in zip(names, session.run(names, given), strict=True):
            for ending, values in (("_ReduceMin", lows), ("_ReduceMax", highs)):
                if name.endswith(ending):
                    values.setdefault(name[: -len(ending)], []).append(value)
    made = {}
    for name, low in lows.items():
        ends = activation_range(low, highs[name], is_whole=name == _OUTPUT)
        made[name] = [{end: np.float32(value) for end, value in zip(("rmin", "rmax"), ends, strict=True)}]
    return made


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
        return {_INPUT: cells_to_db(cells, self._top_db)[None, None]}


def _strip_ends(model: onnx.ModelProto) -> tuple[float, int]:
    """Take away the quantizer of the input and the dequantizer of the output; return the latter's parameters."""
    graph = model.graph
    first = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == _INPUT]
    last = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] == _OUTPUT]
    if len(first) != 1 or len(last) != 1:
        raise ExportError("the quantized ONNX graph does not begin and end in one quantizer: nothing to strip")
    renamed = {first[0].output[0]: _INPUT, last[0].input[0]: _OUTPUT}
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


def _finish(model: onnx.ModelProto, metadata: dict[str, str]) -> bytes:
    """Drop what the converter noted about this machine (stack traces, paths), add metadata, check, serialize."""
    graph = model.graph
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
