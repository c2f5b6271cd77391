"""What a bundle or a .tflite is, as text for people."""

from __future__ import annotations

import collections
import math
from typing import Any

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.network.bundle import Bundle
from edgegenre_runtime.network.head import read_head

from .mediapipe_metadata import read_metadata
from .model_report import ModelReport
from .tflite_reader import inspect_tflite

__all__ = ["changed_files", "describe_bundle", "describe_model", "describe_tflite"]


def describe_tflite(model: bytes) -> str:
    """Return model report and embedded metadata of a .tflite; raises :class:`ExportError` if it is none."""
    text = describe_model(inspect_tflite(model))
    metadata = read_metadata(model)
    if metadata is None:
        return f"{text}\nmetadata: none"
    return (
        f"{text}\nmetadata: {metadata.name}, {metadata.description}; takes {metadata.channels} channel at "
        f"{metadata.sample_rate_hz} Hz\nlabels: {', '.join(metadata.labels) or 'none'}"
    )


def describe_model(model_report: ModelReport) -> str:
    """Return the tensors of a model, then what goes in, what comes out, its dtypes and whether it is pure int8."""
    ends = [t for t in model_report.tensors if t.role in ("input", "output", "embedding")]
    dtypes = collections.Counter(tensor.dtype for tensor in model_report.tensors)
    faults = model_report.faults
    return "\n".join(
        [
            model_report.format_table(),
            *(f"{tensor.role}: {tensor.format_contract()}" for tensor in ends),
            "tensors: " + ", ".join(f"{n} × {dtype}" for dtype, n in dtypes.most_common()),
            f"pure int8: {'no, ' + faults[0] if faults else 'yes'}",
        ]
    )


def changed_files(bundle: Bundle) -> list[str]:
    """Return the files of a bundle whose content is not what the manifest says, one sentence each."""
    changed = []
    for name in bundle.manifest["files"]:
        try:
            bundle.read(name)
        except BundleError as error:
            changed.append(str(error))
    return changed


def describe_bundle(bundle: Bundle) -> str:
    """Return what a bundle holds by its manifest: classes, front-end, origin, models, files.

    Raises
    ------
    BundleError
        If what the manifest says of its models is out of shape.
    """
    try:
        return _summary(bundle)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BundleError(
            f"bundle {bundle.root}: what manifest.json says of its models is out of shape: export the bundle again"
        ) from error


def _summary(bundle: Bundle) -> str:
    manifest, spec = bundle.manifest, bundle.tables.spec
    lines = [
        f"bundle {bundle.root}, format {manifest['format_version']}",
        f"network: {manifest.get('model', {}).get('name', 'unknown')}, {len(bundle.labels)} classes: "
        + ", ".join(bundle.labels),
        *_release_lines(bundle),
        *_task_lines(bundle),
        f"front-end: {spec.name}, {spec.sample_rate_hz} Hz, windows of {spec.window_s:.2f} s "
        f"({spec.window_samples} samples), hash {bundle.spec_hash[:12]}",
        f"recipe: {manifest.get('recipe', 'unknown')}, made by  {manifest.get('command', 'an unknown command')}",
    ]
    lines += [_model_line(name, entry) for name, entry in sorted(manifest.get("model_reports", {}).items())]
    vector = manifest.get("embedding")
    learns = "" if "class_statistics" in manifest else "; no class statistics, so that nothing can be learned"
    lines.append("embedding: none" if vector is None else f"embedding: {vector['dims']} numbers a window, int8{learns}")
    head = read_head(bundle)
    if head is not None:
        config = head.head.config
        n_floats = sum(math.prod(part.shape) for part in config.state.values())
        lines.append(
            f"head over windows: {config.kind}, embeddings of {config.embedding_size}, every {head.hop_frames} frames, "
            f"a state of {n_floats} floats"
        )
    micro = manifest.get("tflite_micro", {})
    if "refused" in micro:
        lines.append(f"TFLite Micro: no, {micro['refused']}")
    elif micro:
        lines.append(f"TFLite Micro: arena {micro['arena_bytes']} bytes, resolver {', '.join(micro['resolver'])}")
    files = manifest["files"]
    n_bytes = sum(entry["bytes"] for entry in files.values())
    lines.append(f"files: {len(files)}, {n_bytes / 1000:.0f} kB: {', '.join(sorted(files))}")
    return "\n".join(lines)


def _release_lines(bundle: Bundle) -> list[str]:
    release = bundle.release
    if release is None:
        return []
    return [
        f"release: {release.name}, version {release.version}; `edgegenre verify --trust KEY.pub` checks who signed it"
    ]


def _task_lines(bundle: Bundle) -> list[str]:
    task = bundle.task
    if task.kind == "single":
        return []
    what = {"multi": "every label that reaches its threshold", "hierarchy": "down to the level that is sure"}
    thresholds = ", ".join(f"{name} {value:.2f}" for name, value in task.thresholds.items())
    return [f"task: {task.kind}, {what[task.kind]}: {thresholds}"]


def _model_line(name: str, summary: dict[str, Any]) -> str:
    cost = f"{summary['bytes'] / 1000:.0f} kB, {summary['macs'] / 1e6:.1f} MMAC"
    embedding = f", embedding {summary['embedding']}" if "embedding" in summary else ""
    return f"{name}: {summary['input']} → {summary['output']}{embedding}, {cost}"
