"""From a network to its artifacts, the model report of each, and how each answers the calibration windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from edgegenre_export.check.derived_targets import body_of
from edgegenre_export.check.int8_check import inspect_onnx, inspect_tflite, require_int8, require_waveform
from edgegenre_export.check.run_models import Agreement, compare, is_waveform, run_artifact, run_tflite, run_torch
from edgegenre_export.quantize.equalize import equalize
from edgegenre_export.quantize.int16 import require_int8x16
from edgegenre_export.quantize.weight_rounding import round_weights, shift_logits
from edgegenre_export.recipes import Recipe
from edgegenre_runtime.frontend import FrontendSpec, Tables
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.quantization import dequantize, softmax

from .to_onnx import float_onnx, int8_onnx
from .to_tflite import float_tflite, int8_tflite
from .waveform_models import waveform_onnx, waveform_tflite

__all__ = ["compare_all", "convert", "inspect_artifacts", "probabilities"]


def convert(
    network: nn.Module,
    labels: Sequence[str],
    tables: Tables,
    windows: npt.NDArray[np.int8],
    recipe: Recipe,
    progress: Callable[[str], None],
) -> dict[str, bytes]:
    """Return the recipe's artifacts, file name to content; an int8 model is made from the float one.

    Parameters
    ----------
    network
        In eval mode.
    labels, tables
        Class names in the order of the logits, and the front-end.
    windows
        Calibration windows, int8 [N, n_mels, frames].
    recipe
        What to make.
    progress
        Called with a line an artifact.
    """
    spec = tables.spec
    metadata = {"labels": "\n".join(labels), "spec_hash": tables.spec_hash}
    rounded = network
    if recipe.weight_rounding == "covariance":
        progress("rounding the weights")
        rounded = round_weights(equalize(network, windows, spec.top_db), windows, spec.top_db)
        if recipe.activation_bits == 8:
            rounded = _centered(network, rounded, windows, spec)
    made: dict[str, bytes] = {}
    makers: dict[str, Callable[[], bytes]] = {
        "model_float.tflite": lambda: float_tflite(network, spec),
        "model_float.onnx": lambda: float_onnx(network, spec, metadata),
        "model_int8.tflite": lambda: int8_tflite(float_tflite(rounded, spec), windows, spec),
        "model_int8x16.tflite": lambda: int8_tflite(float_tflite(rounded, spec), windows, spec, activation_bits=16),
        "model_int8.onnx": lambda: int8_onnx(float_onnx(rounded, spec, metadata), windows, spec, metadata),
        "model_audio.tflite": lambda: waveform_tflite(made["model_int8.tflite"], tables, tuple(labels)),
        "model_audio.onnx": lambda: waveform_onnx(made["model_int8.onnx"], tables),
    }
    for name in recipe.artifacts:
        progress(f"making {name}")
        made[name] = makers[name]()
    return made


def _centered(network: nn.Module, rounded: nn.Module, windows: npt.NDArray[np.int8], spec: FrontendSpec) -> nn.Module:
    """Return the rounded network with the mean error of its int8 logits taken out of them.

    It is measured on an int8 TFLite model: sums, means and clipped activations have their share in it, which no
    weight shows.
    """
    model = int8_tflite(float_tflite(rounded, spec), windows, spec)
    output = inspect_tflite(model).only("output")
    scale, zero_point = output.scale or 0.0, output.zero_point or 0
    made = dequantize(run_tflite(model, windows), scale, zero_point)
    wanted = run_torch(network, windows, spec.top_db)
    return shift_logits(rounded, np.asarray((wanted - made).mean(axis=0), np.float32))


def inspect_artifacts(models: Mapping[str, bytes], top_db: int) -> dict[str, ModelReport]:
    """Inspect all models; an int8 model must be pure, a waveform model must have the int8 model in it."""
    inspectors = {"onnx": inspect_onnx, "tflite": inspect_tflite}
    model_reports = {name: inspectors[name.rpartition(".")[2]](model) for name, model in models.items()}
    for name, model_report in model_reports.items():
        if is_waveform(name):
            require_waveform(model_report, model_reports[body_of(name)])
        elif "int8x16" in name:
            require_int8x16(model_report, top_db)
        elif "int8" in name:
            require_int8(model_report, top_db)
    return model_reports


def compare_all(
    network: nn.Module,
    models: Mapping[str, bytes],
    model_reports: Mapping[str, ModelReport],
    cells: npt.NDArray[np.int8],
    top_db: int,
) -> dict[str, Agreement]:
    """Compare every artifact that takes windows with the network, on the calibration windows."""
    expected = run_torch(network, cells, top_db)
    return {
        name: compare(expected, _logits(name, model, model_reports[name], cells, top_db))
        for name, model in models.items()
        if not is_waveform(name)
    }


def probabilities(
    name: str, model: bytes, model_report: ModelReport, cells: npt.NDArray[np.int8], top_db: int
) -> npt.NDArray[np.float32]:
    """Return an artifact's probabilities, float32 [N, C], for cells int8 [N, n_mels, frames]."""
    return softmax(_logits(name, model, model_report, cells, top_db))


def _logits(
    name: str, model: bytes, model_report: ModelReport, cells: npt.NDArray[np.int8], top_db: int
) -> npt.NDArray[np.float32]:
    made = run_artifact(name, model, cells, top_db)
    output = model_report.only("output")
    if output.scale is None or output.zero_point is None:
        return made
    return dequantize(made, output.scale, output.zero_point)
