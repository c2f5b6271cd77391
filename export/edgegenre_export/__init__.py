"""From a checkpoint to a bundle: prune, quantise, convert, prove (workstation only, the ``export`` extra)."""

from .calibration import Calibration
from .certificate import Certificate, inspect_onnx, inspect_tflite, require_int8
from .gate import GateReport, Limits, Verdict
from .gate_data import GateSet
from .own import export
from .pipeline import ExportResult, export_bundle
from .recipes import RECIPES, Recipe, find_recipe
from .replay import Agreement

__all__ = [
    "RECIPES",
    "Agreement",
    "Calibration",
    "Certificate",
    "ExportResult",
    "GateReport",
    "GateSet",
    "Limits",
    "Recipe",
    "Verdict",
    "export",
    "export_bundle",
    "find_recipe",
    "inspect_onnx",
    "inspect_tflite",
    "require_int8",
]
