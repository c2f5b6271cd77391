"""What the manifest says of an export: every metric names the command that measured it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from typing import Any

from edgegenre.evaluate.complexity import measure
from edgegenre.recorded_path import recorded_paths
from edgegenre_export.accept.stage import AcceptedArtifacts
from edgegenre_export.job import ExportJob
from edgegenre_runtime.audio.music_detector import DETECTOR_KEY
from edgegenre_runtime.audio.sound_gate import UNCERTAIN_KEY

__all__ = ["manifest_keys"]

_TOOLS = (
    "ai-edge-litert",
    "ai-edge-quantizer",
    "edgegenre",
    "litert-torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "tflite-micro",
    "torch",
    "torch-pruning",
)


def manifest_keys(job: ExportJob, accepted: AcceptedArtifacts) -> dict[str, Any]:
    """Return the manifest's keys that describe the export, JSON-ready."""
    checked, report = accepted.checked, accepted.report
    network = checked.artifacts.quantized.prepared.network
    compared = {
        "calibration windows": checked.agreement,
        "golden PCM, against the mel path": checked.waveform_agreement,
    }
    keys: dict[str, Any] = {
        **network.task.to_dict(),
        "recipe": job.recipe.name,
        "command": job.command,
        "model": dict(network.model),
        "complexity": measure(network.name, network.module, network.spec).to_dict(),
        "training": {key: value for key, value in network.meta.items() if key != DETECTOR_KEY},
        "metrics": [
            {"artifact": name, "data": data, "command": job.command, **dataclasses.asdict(agreement)}
            for data, agreements in compared.items()
            for name, agreement in agreements.items()
        ],
        "gate": {"status": "off"} if report is None else report.to_dict(),
        "model_reports": {name: model.report.to_summary() for name, model in checked.artifacts.models.items()},
        "tools": {tool: importlib.metadata.version(tool) for tool in _TOOLS},
    }
    if job.head is not None:
        keys["head"] = {"config": job.head.config.to_dict(), "training": recorded_paths(job.head.meta)}
    fitted = job.fitted_meta
    if UNCERTAIN_KEY in fitted:
        keys[UNCERTAIN_KEY] = fitted[UNCERTAIN_KEY]
    if checked.embedding is not None:
        keys["embedding"] = {**dataclasses.asdict(checked.embedding), "command": job.command}
    if checked.statistics is not None and job.training is not None:
        keys["class_statistics"] = {
            "axes": checked.statistics.axes.shape[1],
            "source": job.training.source,
            "n_tracks": len(job.training.names),
            "n_windows": sum(map(len, job.training.windows)),
        }
    if checked.micro is not None:
        keys["tflite_micro"] = checked.micro.to_dict()
    return keys
