"""Export of a user's own network: any torch module that takes a window and gives logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from edgegenre_export.inputs.calibration import Calibration
from edgegenre_export.inputs.golden_pcm import golden_inputs, golden_pcm
from edgegenre_export.inputs.reference_tracks import ReferenceTracks
from edgegenre_export.inputs.trained_network import module_network
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import check_destination
from edgegenre_runtime.network.task import ONE_LABEL, Task

from .job import ExportJob
from .pipeline import ExportResult, export_bundle
from .recipes import find_recipe
from .steps import Progress, ignore_steps

__all__ = ["export"]


def export(
    module: nn.Module,
    spec: str,
    labels: Sequence[str],
    calibration: npt.NDArray[np.int8],
    out: Path | str,
    *,
    recipe: str = "int8",
    reference: ReferenceTracks | Literal["calibration"] | None = "calibration",
    name: str = "network",
    meta: Mapping[str, Any] | None = None,
    task: Task = ONE_LABEL,
    command: str = "edgegenre_export.export",
    progress: Progress = ignore_steps,
) -> ExportResult:
    """Export any torch network that takes float32 [B, 1, n_mels, 128] in dB above the floor and gives logits [B, C].

    Parameters
    ----------
    module
        The network; it is put into eval mode.
    spec
        Name of the front-end preset of its windows: ``"seed3s"`` or ``"wide9s"``.
    labels
        Class names in the order of the logits.
    calibration
        Windows of the training data, int8 [N, n_mels, 128] of the front-end
        (:func:`edgegenre_runtime.frontend.window_normalizer`); they set the scales of the activations.
    out
        The bundle's directory; a bundle that is there is replaced when the new one is whole.
    recipe
        A recipe without fine-tuning: ``"int8"``, ``"int8x16"`` or ``"float"``.
    reference
        Tracks that the artifacts must answer as the network does; ``"calibration"`` takes each calibration window for
        a track, None turns the acceptance gate off, and card and manifest say so.
    name, meta, command
        For card and manifest: what it is called, JSON-ready facts (``data``, ``limits``, ``license`` …), and how it
        was made.
    task
        What the logits mean (:func:`edgegenre_runtime.network.task.make_task`); one label of several by default.
    progress
        Called with each step as it begins; ``str(step)`` is one line.

    Raises
    ------
    UsageError
        If the recipe or the preset is unknown, the recipe fine-tunes, or there are fewer than two labels.
    DataError, SpecError
        If the windows are empty, silent or of another shape.
    ExportError
        Before anything is converted, if the module has NaN weights, another shape than window to logits, or layers
        that do not convert (each is named); later if an artifact is not what it should be.
    GateError
        If the acceptance gate refuses the artifacts; see :func:`edgegenre_export.pipeline.export_bundle`.
    BundleError
        If the bundle cannot be written.
    """
    chosen = find_recipe(recipe)
    if chosen.tuning is not None:
        raise UsageError(f"recipe {recipe} fine-tunes with edgegenre's trainer: choose float, int8 or int8x16")
    tables, destination = released(spec), check_destination(Path(out))
    network = module_network(module, tables, labels, name, meta or {}, task)
    indices = tuple(range(len(calibration)))
    windows = Calibration(calibration, indices, 0, "the caller's windows", tables.spec_hash)
    windows.require_tables(tables)
    if isinstance(reference, str):
        names = tuple(f"calibration window {i}" for i in indices)
        tracks = tuple(calibration[:, None])
        reference = ReferenceTracks(names, tracks, None, "the calibration windows", tables.spec_hash)
    job = ExportJob(
        network=network,
        tables=tables,
        calibration=windows,
        golden=golden_inputs(golden_pcm(tables), tables),
        recipe=chosen,
        destination=destination,
        command=command,
        reference=reference,
    )
    return export_bundle(job, progress)
