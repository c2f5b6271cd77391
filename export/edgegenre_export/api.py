"""Export of a user's own network: any torch module that takes a window and gives logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from edgegenre_export.accept.reference_data import GateSet
from edgegenre_export.prepare.op_support import require_supported
from edgegenre_export.quantize.calibration import Calibration
from edgegenre_export.quantize.calibration_data import golden_pcm
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import check_destination

from .job import own_subject
from .pipeline import ExportResult, export_subject
from .recipes import find_recipe

__all__ = ["export"]


def _say_nothing(message: str) -> None:
    del message


def export(
    module: nn.Module,
    spec: str,
    labels: Sequence[str],
    calibration: npt.NDArray[np.int8],
    out: Path | str,
    *,
    recipe: str = "int8",
    gate: GateSet | Literal["calibration"] | None = "calibration",
    name: str = "own",
    meta: Mapping[str, Any] | None = None,
    command: str = "edgegenre_export.export",
    progress: Callable[[str], None] = _say_nothing,
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
        Windows of the training data, int8 [N, n_mels, 128] as the front-end makes them
        (:func:`edgegenre_runtime.frontend.window_normalizer`); they set the scales of the activations.
    out
        The bundle's directory; a bundle that is there is replaced when the new one is whole.
    recipe
        A recipe without fine-tuning: ``"int8"``, ``"int8x16"`` or ``"float"``.
    gate
        Tracks that the artifacts must answer as the network does; ``"calibration"`` takes each calibration window for
        a track, None turns the gate off, and card and manifest say so.
    name, meta, command
        For card and manifest: what it is called, JSON-ready facts (``data``, ``limits``, ``licence`` …), and how it
        was made.
    progress
        Called with one line a step.

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
        If the gate refuses the artifacts; see :func:`edgegenre_export.pipeline.export_subject`.
    BundleError
        If the bundle cannot be written.
    """
    chosen = find_recipe(recipe)
    if chosen.tuning is not None:
        raise UsageError(f"recipe {recipe} fine-tunes with edgegenre's trainer: choose float, int8 or int8x16")
    tables, destination = released(spec), check_destination(Path(out))
    subject = own_subject(module, tables, labels, name, meta or {})
    windows = Calibration(calibration, tuple(range(len(calibration))), 0, "the caller's windows", tables.spec_hash)
    windows.require_tables(tables)
    require_supported(subject.network, tables.spec)
    if isinstance(gate, str):
        names = tuple(f"calibration window {i}" for i in range(len(calibration)))
        gate = GateSet(names, tuple(calibration[:, None]), None, "the calibration windows", tables.spec_hash)
    return export_subject(
        subject,
        tables,
        windows,
        destination,
        golden_pcm=golden_pcm(tables),
        command=command,
        recipe=chosen,
        gate=gate,
        progress=progress,
    )
