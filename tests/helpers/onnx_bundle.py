"""The shipped bundle with the int8 ONNX model that was exported with it; the package ships without it."""

from __future__ import annotations

from pathlib import Path

from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.classifier import default_bundle

__all__ = ["SHIPPED_ONNX", "write_onnx_bundle"]

SHIPPED_ONNX = Path(__file__).parents[1] / "golden" / "shipped" / "model_int8.onnx"


def write_onnx_bundle(out: Path) -> Path:
    """Write the bundle to ``out``."""
    shipped = read_bundle(default_bundle())
    made_anew = ("files", "format_version", "frontend.json", "labels.txt", "manifest.json")
    files = {name: shipped.read(name) for name in shipped.manifest["files"] if name not in made_anew}
    about = {key: value for key, value in shipped.manifest.items() if key not in made_anew}
    return write_bundle(
        out, {**files, SHIPPED_ONNX.name: SHIPPED_ONNX}, tables=shipped.tables, labels=shipped.labels, about=about
    )
