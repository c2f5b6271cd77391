"""From a checkpoint to a bundle: prune, quantize, convert, prove (workstation only, the ``export`` extra).

The names are imported when they are used, so that ``edgegenre --help`` needs neither torch nor a converter.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .accept.reference_data import GateSet
    from .accept.verdict import GateReport, Limits, Verdict
    from .api import export
    from .check.int8_check import ModelReport, inspect_onnx, inspect_tflite, require_int8
    from .check.run_models import Agreement
    from .pipeline import ExportResult, export_bundle
    from .quantize.calibration import Calibration
    from .recipes import RECIPES, Recipe, find_recipe

_HOMES = {
    "RECIPES": "recipes",
    "Agreement": "check.run_models",
    "Calibration": "quantize.calibration",
    "ModelReport": "check.int8_check",
    "ExportResult": "pipeline",
    "GateReport": "accept.verdict",
    "GateSet": "accept.reference_data",
    "Limits": "accept.verdict",
    "Recipe": "recipes",
    "Verdict": "accept.verdict",
    "export": "api",
    "export_bundle": "pipeline",
    "find_recipe": "recipes",
    "inspect_onnx": "check.int8_check",
    "inspect_tflite": "check.int8_check",
    "require_int8": "check.int8_check",
}

__all__ = [
    "RECIPES",
    "Agreement",
    "Calibration",
    "ExportResult",
    "GateReport",
    "GateSet",
    "Limits",
    "ModelReport",
    "Recipe",
    "Verdict",
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
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
