"""The whole export: network → models → model_reports → comparison → gate → golden vectors → bundle."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import Checkpoint
from edgegenre.evaluate.complexity import measure
from edgegenre_export.accept.acceptance_run import run_gate
from edgegenre_export.accept.reference_data import GateSet
from edgegenre_export.accept.verdict import GateReport
from edgegenre_export.check.derived_targets import compare_waveforms, micro_target
from edgegenre_export.check.golden_vectors import golden_inputs, golden_outputs
from edgegenre_export.check.int8_check import ModelReport
from edgegenre_export.check.run_models import Agreement
from edgegenre_export.convert.artifacts import compare_all, convert, inspect_artifacts
from edgegenre_export.convert.engine_blob import engine_files
from edgegenre_export.package.c_sources import c_files
from edgegenre_export.package.model_card import card_blocks, card_files
from edgegenre_export.package.publish import publish
from edgegenre_export.quantize.calibration import Calibration
from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.inspect.model_report import tensor_tables
from edgegenre_runtime.network.bundle import check_destination
from edgegenre_runtime.network.golden import pack_golden

from .job import Subject, checkpoint_subject
from .recipes import Recipe, find_recipe

__all__ = ["ExportResult", "export_bundle", "export_subject"]

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


@dataclasses.dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export made.

    Attributes
    ----------
    path
        The bundle's directory, absolute.
    recipe
        How it was made.
    agreement
        Model file to how it differs from the trained network, on the calibration windows.
    model_reports
        Model file to what is in it.
    waveform_agreement
        Waveform model to how it differs from the mel path (front-end, then the int8 model that is in it), on the
        golden PCM.
    sizes_bytes
        Model file to its size.
    gate
        What the gate found; None if it was off.
    seconds
        How long the export took, in s.
    """

    path: Path
    recipe: Recipe
    agreement: Mapping[str, Agreement]
    model_reports: Mapping[str, ModelReport]
    waveform_agreement: Mapping[str, Agreement]
    sizes_bytes: Mapping[str, int]
    gate: GateReport | None
    seconds: float


def _say_nothing(message: str) -> None:
    del message


def export_bundle(
    checkpoint: Checkpoint,
    tables: Tables,
    calibration: Calibration,
    out: Path,
    *,
    golden_pcm: Sequence[npt.NDArray[np.int16]],
    command: str,
    recipe: str | Recipe = "int8",
    gate: GateSet | None = None,
    untuned: Checkpoint | None = None,
    progress: Callable[[str], None] = _say_nothing,
) -> ExportResult:
    """Export a checkpoint as a bundle; see :func:`export_subject`.

    Parameters
    ----------
    checkpoint
        The trained network, after the recipe's pruning and fine-tuning if it has any
        (:mod:`edgegenre_export.prepare.fine_tune`).
    untuned
        The network before these; the gate holds the one to the other.
    tables, calibration, out, golden_pcm, command, recipe, gate, progress
        As in :func:`export_subject`.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    out = check_destination(out)
    return export_subject(
        checkpoint_subject(checkpoint),
        tables,
        calibration,
        out,
        golden_pcm=golden_pcm,
        command=command,
        recipe=chosen,
        gate=gate,
        untuned=None if untuned is None else checkpoint_subject(untuned),
        progress=progress,
    )


def export_subject(
    subject: Subject,
    tables: Tables,
    calibration: Calibration,
    out: Path,
    *,
    golden_pcm: Sequence[npt.NDArray[np.int16]],
    command: str,
    recipe: Recipe,
    gate: GateSet | None = None,
    untuned: Subject | None = None,
    progress: Callable[[str], None] = _say_nothing,
) -> ExportResult:
    """Export a network as a bundle.

    Parameters
    ----------
    subject
        The network.
    tables
        Its front-end.
    calibration
        Windows that set the scales of the activations; the artifacts are compared on them too.
    out
        The bundle's directory; a bundle that is there is replaced when the new one is whole.
    golden_pcm
        Pieces of PCM, int16 [window_samples] each, to replay on a device.
    command
        What the user typed, for manifest and card.
    recipe
        How to make it. Its pruning and fine-tuning are already done.
    gate
        Tracks on which every artifact is held to the network; None turns the gate off, and the card says so.
    untuned
        The network before pruning and fine-tuning, or none.
    progress
        Called with one line a step.

    Raises
    ------
    UsageError, BundleError, SpecError, DataError, CheckpointError
        Before anything is converted, if recipe, destination, front-end, windows or checkpoint are not usable.
    ExportError
        If a model cannot be converted or is not what it should be.
    GateError
        If the gate refuses the artifacts: the bundle is then kept as ``OUT.rejected``, and ``out`` is unchanged.
    BundleError
        If the bundle cannot be written.
    """
    started = time.perf_counter()
    out = check_destination(out)
    _require_front_end(subject, tables, gate)
    calibration.require_tables(tables)
    golden = golden_inputs(golden_pcm, tables)
    network, top_db = subject.network, tables.spec.top_db

    models = convert(network, subject.labels, tables, calibration.windows, recipe, progress)
    model_reports = inspect_artifacts(models, top_db)
    progress(f"comparing with the trained network on {len(calibration.windows)} windows")
    agreement = compare_all(network, models, model_reports, calibration.windows, top_db)
    report = None
    if gate is not None:
        report = run_gate(subject, untuned, tables, models, model_reports, calibration, gate, progress)
    progress("making golden vectors")
    golden |= golden_outputs(models, golden["cells"], golden["pcm"], top_db)
    engine = engine_files(models, golden, progress)
    waveform_agreement = compare_waveforms(model_reports, golden)
    micro, micro_facts = micro_target(models, golden)
    tuned = {"tuned": subject.meta["tuned"]} if "tuned" in subject.meta else {}
    files = {
        **models,
        **engine,
        **micro,
        **c_files(tables),
        "recipe.json": _json({**recipe.to_dict(), **tuned}),
        "calibration.json": _json(calibration.to_dict()),
        "golden.npz": pack_golden(golden),
        "tensors.json": tensor_tables(model_reports),
        **card_files(card_blocks(subject, models, model_reports, agreement, report, command), subject),
    }
    about = _about(subject, recipe, model_reports, agreement, waveform_agreement, report, command) | micro_facts
    progress(f"writing {out}")
    return ExportResult(
        path=publish(out, files, tables=tables, labels=subject.labels, about=about, report=report, command=command),
        recipe=recipe,
        agreement=agreement,
        model_reports=model_reports,
        waveform_agreement=waveform_agreement,
        sizes_bytes={name: len(model) for name, model in models.items()},
        gate=report,
        seconds=time.perf_counter() - started,
    )


def _require_front_end(subject: Subject, tables: Tables, gate: GateSet | None) -> None:
    if subject.spec_hash != tables.spec_hash:
        raise SpecError(
            f"the checkpoint is of front-end {subject.spec_hash[:12]} ({subject.spec.name}), the tables are "
            f"{tables.spec_hash[:12]} ({tables.spec.name}): export with the front-end it was trained with"
        )
    if gate is not None and gate.spec_hash != tables.spec_hash:
        raise SpecError(
            f"{gate.source} is of front-end {gate.spec_hash[:12]}, the model is of {tables.spec_hash[:12]} "
            f"({tables.spec.name}): compare on windows of the model's front-end"
        )


def _about(
    subject: Subject,
    recipe: Recipe,
    model_reports: Mapping[str, ModelReport],
    agreement: Mapping[str, Agreement],
    waveform_agreement: Mapping[str, Agreement],
    report: GateReport | None,
    command: str,
) -> dict[str, Any]:
    """Return the manifest's keys that describe the export; every metric names its command."""
    against = {"calibration windows": agreement, "golden PCM, against the mel path": waveform_agreement}
    metrics = [
        {"artifact": name, "data": data, "command": command, **dataclasses.asdict(result)}
        for data, results in against.items()
        for name, result in results.items()
    ]
    threshold = subject.meta.get("metrics", {}).get("valid", {}).get("uncertain_below")
    return ({} if threshold is None else {"uncertain_below": threshold}) | {
        "recipe": recipe.name,
        "command": command,
        "model": dict(subject.model),
        "complexity": measure(subject.name, subject.network, subject.spec).to_dict(),
        "training": dict(subject.meta),
        "metrics": metrics,
        "gate": {"status": "off"} if report is None else report.to_dict(),
        "model_reports": {name: model_report.to_summary() for name, model_report in model_reports.items()},
        "tools": {tool: importlib.metadata.version(tool) for tool in _TOOLS},
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
