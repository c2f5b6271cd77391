"""Whether "int8" is true: what a model report must say."""

from __future__ import annotations

import dataclasses

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db
from edgegenre_runtime.inspect.model_report import ModelReport, TensorRecord
from edgegenre_runtime.network.task import TaskKind

__all__ = ["require_int8", "require_int8x16", "require_waveform"]


def require_int8(model_report: ModelReport, top_db: int) -> None:
    """Check that a model is int8 from input to output and takes window cells as they are.

    Raises
    ------
    ExportError
        If a tensor inside is float, input or output is not int8, or the input's scale is not exactly
        float32 ``top_db / 255`` with zero point -128.
    """
    _require_integers(model_report, "int8", (cell_scale_db(top_db), CELL_ZERO_POINT), "pure int8")


def require_int8x16(model_report: ModelReport, top_db: int) -> None:
    """Check that a model has int8 weights and int16 activations from input to output.

    int16 activations have zero point 0. A window's cells -128 … 127 are 0 … 255 steps above the floor, of the same
    size: they enter as ``cell + 128``, exactly.

    Raises
    ------
    ExportError
        If a tensor inside is float, input or output is not int16, or the input's scale is not exactly
        float32 ``top_db / 255`` with zero point 0.
    """
    _require_integers(model_report, "int16", (cell_scale_db(top_db), 0), "int8 with int16 activations")


def _require_integers(model_report: ModelReport, dtype: str, pinned: tuple[float, int], what: str) -> None:
    source, target = model_report.only("input"), model_report.only("output")
    faults = list(model_report.faults)
    faults += [
        f"{tensor.role} {tensor.name} is {tensor.dtype}, not {dtype}"
        for tensor in (source, target)
        if tensor.dtype != dtype
    ]
    if (source.scale, source.zero_point) != pinned:
        faults.append(
            f"input scale and zero point are {source.scale}, {source.zero_point}, not {pinned[0]}, {pinned[1]}"
        )
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise ExportError(f"the {model_report.format} model is not {what}: {faults[0]}{more}")


def require_waveform(model_report: ModelReport, body: ModelReport, kind: TaskKind = "single") -> None:
    """Check that a waveform model is float32 PCM, front-end, then an int8 model as it is, then probabilities.

    Parameters
    ----------
    model_report
        Of ``model_audio.*``.
    body
        Of the int8 model that is in it.
    kind
        The network's task: of several labels the probabilities are sigmoids, else a softmax.

    Raises
    ------
    ExportError
        If input or output is not float32, the int8 model's operators do not stand unchanged between a quantizer
        and a dequantizer with what makes probabilities, or one of its tensors is missing or different.
    """
    quantize, dequantize = (
        ("QuantizeLinear", "DequantizeLinear") if model_report.format == "onnx" else ("QUANTIZE", "DEQUANTIZE")
    )
    last = {"multi": ("Sigmoid", "LOGISTIC")}.get(kind, ("Softmax", "SOFTMAX"))
    tail = (quantize, *body.ops, dequantize, last[model_report.format != "onnx"])
    if model_report.ops[-len(tail) :] != tail:
        raise ExportError(f"the {model_report.format} waveform model does not end in the operators of its int8 body")
    for tensor in (model_report.only("input"), model_report.only("output")):
        if tensor.dtype != "float32":
            raise ExportError(f"the waveform model's {tensor.role} {tensor.name} is {tensor.dtype}, not float32")
    present = {_without_role(tensor) for tensor in model_report.tensors}
    changed = [tensor.name for tensor in body.tensors if _without_role(tensor) not in present]
    if changed:
        raise ExportError(f"tensor {changed[0]} of the int8 model is not in the waveform model as it was")


def _without_role(tensor: TensorRecord) -> TensorRecord:
    return dataclasses.replace(tensor, role="")
