"""The whole export: checkpoint → models → certificates → comparison → golden vectors → bundle."""

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
from torch import nn

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre_runtime.bundle import check_destination, write_bundle
from edgegenre_runtime.frontend import SpecError, Tables
from edgegenre_runtime.quantised import dequantise

from .c_sources import c_files
from .calibration import Calibration
from .card import format_card
from .certificate import Certificate, inspect_onnx, inspect_tflite, require_int8, require_waveform
from .golden import golden_inputs, golden_outputs, pack_golden
from .recipes import Recipe, find_recipe
from .replay import Agreement, compare, is_waveform, run_artefact, run_torch
from .rounding import round_first_convolution
from .targets import body_of, compare_waveforms, micro_target
from .to_onnx import float_onnx, int8_onnx
from .to_tflite import float_tflite, int8_tflite
from .waveform import waveform_onnx, waveform_tflite

__all__ = ["ExportResult", "export_bundle"]

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
    certificates
        Model file to what is in it.
    waveform_agreement
        Waveform model to how it differs from the mel path (front-end, then the int8 model that is in it), on the
        golden PCM.
    sizes_bytes
        Model file to its size.
    seconds
        How long the export took, in s.
    """

    path: Path
    recipe: Recipe
    agreement: Mapping[str, Agreement]
    certificates: Mapping[str, Certificate]
    waveform_agreement: Mapping[str, Agreement]
    sizes_bytes: Mapping[str, int]
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
    recipe: str = "int8",
    progress: Callable[[str], None] = _say_nothing,
) -> ExportResult:
    """Export a checkpoint as a bundle.

    Parameters
    ----------
    checkpoint
        The trained network.
    tables
        Its front-end.
    calibration
        Windows that set the scales of the activations; the artefacts are compared on them too.
    out
        The bundle's directory; a bundle that is there is replaced when the new one is whole.
    golden_pcm
        Pieces of PCM, int16 [window_samples] each, to replay on a device.
    command
        What the user typed, for manifest and card.
    recipe
        Name of a recipe.
    progress
        Called with one line a step.

    Raises
    ------
    UsageError, BundleError, SpecError, DataError, CheckpointError
        Before anything is converted, if recipe, destination, front-end, windows or checkpoint are not usable.
    ExportError
        If a model cannot be converted or is not what it should be.
    BundleError
        If the bundle cannot be written.
    """
    started = time.perf_counter()
    chosen = find_recipe(recipe)
    out = check_destination(out)
    if checkpoint.spec_hash != tables.spec_hash:
        raise SpecError(
            f"the checkpoint is of front-end {checkpoint.spec_hash[:12]} ({checkpoint.spec.name}), the tables are "
            f"{tables.spec_hash[:12]} ({tables.spec.name}): export with the front-end it was trained with"
        )
    calibration.require_tables(tables)
    network = to_module(checkpoint)
    golden = golden_inputs(golden_pcm, tables)
    top_db = tables.spec.top_db

    models = _convert(network, checkpoint, tables, calibration, chosen, progress)
    certificates = _certify_all(models, top_db)
    progress(f"comparing with the trained network on {len(calibration.windows)} windows")
    agreement = _compare_all(network, models, certificates, calibration.windows, top_db)
    progress("making golden vectors")
    golden |= golden_outputs(models, golden["cells"], golden["pcm"], top_db)
    waveform_agreement = compare_waveforms(certificates, golden)
    micro, micro_facts = micro_target(models, golden)
    files = {
        **models,
        **micro,
        **c_files(tables),
        "recipe.json": _json(chosen.to_dict()),
        "calibration.json": _json(calibration.to_dict()),
        "golden.npz": pack_golden(golden),
        "card.md": format_card(checkpoint, models, certificates, agreement, command).encode(),
    }
    about = _about(checkpoint, chosen, certificates, agreement, waveform_agreement, command) | micro_facts
    progress(f"writing {out}")
    return ExportResult(
        path=write_bundle(out, files, tables=tables, labels=checkpoint.labels, about=about),
        recipe=chosen,
        agreement=agreement,
        certificates=certificates,
        waveform_agreement=waveform_agreement,
        sizes_bytes={name: len(model) for name, model in models.items()},
        seconds=time.perf_counter() - started,
    )


def _convert(
    network: nn.Module,
    checkpoint: Checkpoint,
    tables: Tables,
    calibration: Calibration,
    recipe: Recipe,
    progress: Callable[[str], None],
) -> dict[str, bytes]:
    """Return the recipe's artefacts, file name to content; an int8 model is made from the float one."""
    spec, windows = tables.spec, calibration.windows
    metadata = {"labels": "\n".join(checkpoint.labels), "spec_hash": checkpoint.spec_hash}
    rounded = round_first_convolution(network, windows, spec.top_db)
    made: dict[str, bytes] = {}
    makers: dict[str, Callable[[], bytes]] = {
        "model_float.tflite": lambda: float_tflite(network, spec),
        "model_float.onnx": lambda: float_onnx(network, spec, metadata),
        "model_int8.tflite": lambda: int8_tflite(float_tflite(rounded, spec), windows, spec),
        "model_int8.onnx": lambda: int8_onnx(float_onnx(rounded, spec, metadata), windows, spec, metadata),
        "model_audio.tflite": lambda: waveform_tflite(made["model_int8.tflite"], tables, checkpoint.labels),
        "model_audio.onnx": lambda: waveform_onnx(made["model_int8.onnx"], tables),
    }
    for name in recipe.artefacts:
        progress(f"making {name}")
        made[name] = makers[name]()
    return made


def _certify_all(models: Mapping[str, bytes], top_db: int) -> dict[str, Certificate]:
    """Inspect all models; an int8 model must be pure, a waveform model must have the int8 model in it."""
    inspectors = {"onnx": inspect_onnx, "tflite": inspect_tflite}
    certificates = {name: inspectors[name.rpartition(".")[2]](model) for name, model in models.items()}
    for name, certificate in certificates.items():
        if is_waveform(name):
            require_waveform(certificate, certificates[body_of(name)])
        elif "int8" in name:
            require_int8(certificate, top_db)
    return certificates


def _compare_all(
    network: nn.Module,
    models: Mapping[str, bytes],
    certificates: Mapping[str, Certificate],
    cells: npt.NDArray[np.int8],
    top_db: int,
) -> dict[str, Agreement]:
    expected = run_torch(network, cells, top_db)
    agreement = {}
    for name, model in models.items():
        if is_waveform(name):
            continue
        made = run_artefact(name, model, cells, top_db)
        output = certificates[name].only("output")
        if output.scale is not None and output.zero_point is not None:
            made = dequantise(made, output.scale, output.zero_point)
        agreement[name] = compare(expected, made)
    return agreement


def _about(
    checkpoint: Checkpoint,
    recipe: Recipe,
    certificates: Mapping[str, Certificate],
    agreement: Mapping[str, Agreement],
    waveform_agreement: Mapping[str, Agreement],
    command: str,
) -> dict[str, Any]:
    """Return the manifest's keys that describe the export; every metric names its command."""
    against = {"calibration windows": agreement, "golden PCM, against the mel path": waveform_agreement}
    metrics = [
        {"artefact": name, "data": data, "command": command, **dataclasses.asdict(result)}
        for data, results in against.items()
        for name, result in results.items()
    ]
    return {
        "recipe": recipe.name,
        "command": command,
        "model": checkpoint.config.to_dict(),
        "training": checkpoint.meta,
        "metrics": metrics,
        "certificates": {name: certificate.to_dict() for name, certificate in certificates.items()},
        "tools": {tool: importlib.metadata.version(tool) for tool in _TOOLS},
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
