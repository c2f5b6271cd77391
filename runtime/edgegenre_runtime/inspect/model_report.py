"""The model report of a model file: every tensor's dtype and scale, the operators, the work."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.interpreters import EMBEDDING

__all__ = ["ModelReport", "TensorRecord", "tensor_tables"]

_LONGEST_NAME = 44


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
        What a step is worth and the step that stands for 0, of the first channel; None if not quantized.
    n_scales
        How many scales there are: 1 for the whole tensor, one per channel, or 0 if not quantized.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    scale: float | None
    zero_point: int | None
    n_scales: int

    def format_contract(self) -> str:
        """Return dtype, shape and quantization on one line, e.g. ``int8 [1, 10], scale 0.11, zero point 53``."""
        text = f"{self.dtype} [{', '.join(map(str, self.shape))}]"
        if self.scale is None:
            return text
        return f"{text}, scale {self.scale:.9g}, zero point {self.zero_point}"


@dataclasses.dataclass(frozen=True, slots=True)
class ModelReport:
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
    n_macs
        Multiply-adds of convolutions, dense layers and matrix products for one input, counted from the graph.
    n_bytes
        Size of the file.
    """

    format: str
    ops: tuple[str, ...]
    tensors: tuple[TensorRecord, ...]
    faults: tuple[str, ...]
    n_macs: int
    n_bytes: int

    def only(self, role: str) -> TensorRecord:
        """Return the one input or output; raises :class:`ExportError` if there are more or none."""
        found = [tensor for tensor in self.tensors if tensor.role == role]
        if len(found) != 1:
            raise ExportError(f"the {self.format} model has {len(found)} {role}s; it must have one")
        return found[0]

    def embedding(self) -> TensorRecord | None:
        """Return the second output of an int8 network, the vector that its last dense layer takes; None without one."""
        return next((tensor for tensor in self.tensors if tensor.role == EMBEDDING), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the model report as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    def to_summary(self) -> dict[str, Any]:
        """Return what a manifest says of the model: its size, work, operators, input and output, and no tables."""
        summary = {
            "format": self.format,
            "bytes": self.n_bytes,
            "macs": self.n_macs,
            "ops": self.format_ops(),
            "input": self.only("input").format_contract(),
            "output": self.only("output").format_contract(),
            "is_integer": not self.faults,
        }
        vector = self.embedding()
        return summary if vector is None else {**summary, "embedding": vector.format_contract()}

    def format_ops(self) -> str:
        """Return the operators with their numbers, e.g. ``2 × CONV_2D, 1 × MEAN``."""
        return ", ".join(f"{n} × {op}" for op, n in collections.Counter(self.ops).items())

    def format_cost(self) -> str:
        """Return size and work, e.g. ``151 kB, 159.4 MMAC``."""
        return f"{self.n_bytes / 1000:.0f} kB, {self.n_macs / 1e6:.1f} MMAC"

    def format_table(self) -> str:
        """Return operators, cost and tensors as text, one line per tensor."""
        lines = [f"{self.format}: {self.format_ops()}", self.format_cost()]
        lines.append(f"{'role':10} {'dtype':8} {'shape':18} {'scale':>14} {'zero':>5}  name")
        for t in self.tensors:
            shape = "×".join(str(size) for size in t.shape) or "scalar"
            scale = "" if t.scale is None else f"{t.scale:.6g}" + (f" (×{t.n_scales})" if t.n_scales > 1 else "")
            zero = "" if t.zero_point is None else str(t.zero_point)
            name = t.name if len(t.name) <= _LONGEST_NAME else "…" + t.name[1 - _LONGEST_NAME :]
            lines.append(f"{t.role:10} {t.dtype:8} {shape:18} {scale:>14} {zero:>5}  {name}")
        return "\n".join(lines)


def tensor_tables(model_reports: Mapping[str, ModelReport]) -> bytes:
    """Return ``tensors.json``, the whole model report of each file: JSON with one line per tensor."""
    models = []
    for name, report in sorted(model_reports.items()):
        rest = report.to_dict()
        tensors = ",\n  ".join(json.dumps(tensor, sort_keys=True) for tensor in rest.pop("tensors"))
        head = json.dumps(rest, sort_keys=True)[:-1]
        models.append(f' {json.dumps(name)}: {head}, "tensors": [\n  {tensors}]}}')
    return ("{\n" + ",\n".join(models) + "\n}\n").encode()
