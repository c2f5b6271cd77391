"""Stage 6: the bundle, with its card and manifest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgegenre_export.accept.stage import AcceptedArtifacts
from edgegenre_export.job import ExportJob
from edgegenre_export.recipes import ENGINE_FILE
from edgegenre_export.steps import Progress, Steps
from edgegenre_runtime.audio.music_detector import DETECTOR_FILE, DETECTOR_KEY
from edgegenre_runtime.inspect.model_report import tensor_tables
from edgegenre_runtime.network.golden import GOLDEN, pack_golden
from edgegenre_runtime.network.personal.class_statistics import STATISTICS, pack_statistics

from .c_array import micro_files
from .c_sources import c_files
from .manifest import manifest_keys
from .model_card import card_files
from .publish import publish

__all__ = ["PackagedBundle", "package"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PackagedBundle:
    """The bundle that was written.

    Attributes
    ----------
    accepted
        What is in it.
    path
        Its directory, absolute.
    """

    accepted: AcceptedArtifacts
    path: Path


def package(job: ExportJob, accepted: AcceptedArtifacts, progress: Progress) -> PackagedBundle:
    """Write the bundle, if the acceptance gate lets it pass.

    Raises
    ------
    GateError
        If it does not; see :func:`.publish.publish`.
    BundleError
        If the bundle cannot be written.
    """
    checked = accepted.checked
    models, micro = checked.artifacts.models, checked.micro
    meta = checked.artifacts.quantized.prepared.network.meta
    steps = Steps("package", 2, progress)
    steps.begin("writing the card")
    files = {name: artifact.content for name, artifact in models.items()}
    if checked.engine is not None:
        files[ENGINE_FILE] = checked.engine
    files |= dict(checked.artifacts.head)
    files |= c_files(job.tables)
    if micro is not None and micro.facts is not None:
        files |= micro_files(files["model_int8.tflite"], micro.facts)
    if DETECTOR_KEY in meta:
        files[DETECTOR_FILE] = _json(meta[DETECTOR_KEY])
    tuned = {"tuned": meta["tuned"]} if "tuned" in meta else {}
    files |= {
        "recipe.json": _json({**job.recipe.to_dict(), **tuned}),
        "calibration.json": _json(job.calibration.to_dict()),
        GOLDEN: pack_golden(checked.golden),
        "tensors.json": tensor_tables({name: artifact.report for name, artifact in models.items()}),
        **card_files(job, accepted),
    }
    if checked.statistics is not None:
        files[STATISTICS] = pack_statistics(checked.statistics)
    keys = manifest_keys(job, accepted)
    steps.begin(f"writing {job.destination}")
    return PackagedBundle(accepted, publish(job, files, keys, accepted.report))


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
