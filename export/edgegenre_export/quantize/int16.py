"""int8 weights with int16 activations: what its model report must say.

int16 activations have zero point 0. A window's cells -128 … 127 are 0 … 255 steps above the floor, of the same size:
they enter as ``cell + 128``, exactly.
"""

from __future__ import annotations

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend.decibels import cell_scale_db
from edgegenre_runtime.inspect.model_report import ModelReport

__all__ = ["require_int8x16"]


def require_int8x16(model_report: ModelReport, top_db: int) -> None:
    """Raise :class:`ExportError` unless all is integer, input and output are int16, and the input's step is pinned."""
    given, made = model_report.only("input"), model_report.only("output")
    faults = list(model_report.faults)
    faults += [
        f"{tensor.role} {tensor.name} is {tensor.dtype}, not int16"
        for tensor in (given, made)
        if tensor.dtype != "int16"
    ]
    if (given.scale, given.zero_point) != (cell_scale_db(top_db), 0):
        faults.append(
            f"input scale and zero point are {given.scale}, {given.zero_point}, not {cell_scale_db(top_db)}, 0"
        )
    if faults:
        raise ExportError(f"the {model_report.format} model is not int8 with int16 activations: {faults[0]}")
