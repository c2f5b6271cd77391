"""From a checkpoint to a bundle: prune, quantize, convert, prove (workstation only, the ``export`` extra).

The names are imported when they are used, so that ``edgegenre --help`` needs neither torch nor a converter.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgegenre_runtime.inspect.model_report import ModelReport
    from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

    from .accept.verdict import AcceptanceReport, Limits, Verdict
    from .api import export
    from .check.agreement import Agreement
    from .check.int8_check import require_int8
    from .convert.onnx.report import inspect_onnx
    from .inputs.calibration import Calibration
    from .inputs.reference_tracks import ReferenceTracks
    from .inputs.trained_network import TrainedNetwork, checkpoint_network
    from .job import ExportJob, FineTuning
    from .pipeline import ExportResult, export_bundle
    from .recipes import RECIPES, Recipe, find_recipe
    from .steps import Step

_HOMES = {
    "RECIPES": ".recipes",
    "AcceptanceReport": ".accept.verdict",
    "Agreement": ".check.agreement",
    "Calibration": ".inputs.calibration",
    "ExportJob": ".job",
    "ExportResult": ".pipeline",
    "FineTuning": ".job",
    "Limits": ".accept.verdict",
    "ModelReport": "edgegenre_runtime.inspect.model_report",
    "Recipe": ".recipes",
    "ReferenceTracks": ".inputs.reference_tracks",
    "Step": ".steps",
    "TrainedNetwork": ".inputs.trained_network",
    "Verdict": ".accept.verdict",
    "checkpoint_network": ".inputs.trained_network",
    "export": ".api",
    "export_bundle": ".pipeline",
    "find_recipe": ".recipes",
    "inspect_onnx": ".convert.onnx.report",
    "inspect_tflite": "edgegenre_runtime.inspect.tflite_reader",
    "require_int8": ".check.int8_check",
}

__all__ = [
    "RECIPES",
    "AcceptanceReport",
    "Agreement",
    "Calibration",
    "ExportJob",
    "ExportResult",
    "FineTuning",
    "Limits",
    "ModelReport",
    "Recipe",
    "ReferenceTracks",
    "Step",
    "TrainedNetwork",
    "Verdict",
    "checkpoint_network",
    "export",
    "export_bundle",
    "find_recipe",
    "inspect_onnx",
    "inspect_tflite",
    "require_int8",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
