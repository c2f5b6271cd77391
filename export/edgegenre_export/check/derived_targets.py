"""Targets that are made from the int8 model: what they must answer, and what firmware needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_export.convert.c_array import micro_files
from edgegenre_export.convert.tflite_micro import measure_micro, run_micro
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.golden import golden_key
from edgegenre_runtime.network.quantization import dequantize

from .run_models import Agreement, compare, is_waveform

__all__ = ["body_of", "compare_waveforms", "micro_target"]

_INT8 = "model_int8.tflite"
_SMALLEST = np.float32(1e-30)


def body_of(name: str) -> str:
    """Return the name of the int8 model that is in a waveform model."""
    return name.replace("audio", "int8")


def compare_waveforms(
    model_reports: Mapping[str, ModelReport], golden: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Agreement]:
    """Compare every waveform model's golden output with that of the mel path: front-end, then its int8 body.

    Parameters
    ----------
    model_reports
        Of all models, by file name.
    golden
        Their outputs (:func:`edgegenre_export.check.golden_vectors.golden_outputs`).
    """
    agreement = {}
    for name in filter(is_waveform, model_reports):
        logits = model_reports[body_of(name)].only("output")
        if logits.scale is None or logits.zero_point is None:
            raise ExportError(f"{body_of(name)} has no scale at its output: it is not an int8 model")
        expected = dequantize(golden[golden_key(body_of(name))], logits.scale, logits.zero_point)
        probabilities = golden[golden_key(name)]
        agreement[name] = compare(expected, np.log(np.maximum(probabilities, _SMALLEST)))  # its softmax undoes the log
    return agreement


def micro_target(
    models: Mapping[str, bytes], golden: Mapping[str, npt.NDArray[Any]]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the C array of the int8 TFLite model and the manifest's ``tflite_micro``; both empty without one.

    A model that TFLite Micro cannot run (an operator is missing there) gets no C array; ``tflite_micro`` says why.

    Raises
    ------
    ExportError
        If a logit of TFLite Micro is more than a step from that of LiteRT's reference kernels. (The networks of this
        project give the same bits; a dense layer inside a user's network may round otherwise,
        :mod:`edgegenre_export.convert.to_tflite`.)
    """
    if _INT8 not in models:
        return {}, {}
    model = models[_INT8]
    try:
        facts = measure_micro(model)
    except ExportError as error:
        return {}, {"tflite_micro": {"refused": str(error)}}
    made = run_micro(model, golden["cells"], facts.arena_bytes)
    difference = np.abs(made.astype(int) - golden[golden_key(_INT8, reference_kernels=True)])
    if difference.max() > 1:
        raise ExportError(
            f"TFLite Micro's logits are up to {difference.max()} steps from those of LiteRT's reference kernels on the "
            "golden windows; one is allowed"
        )
    about = {**facts.to_dict(), "largest_difference_steps": int(difference.max()), "windows": len(difference)}
    return micro_files(model, facts), {"tflite_micro": about}
