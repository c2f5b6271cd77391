"""The whole export, one way: a job goes through six stages, each of which takes the result of the one before.

prepared network → quantized network → artifacts → answers → acceptance → bundle. A result holds the result before it,
so that each stage finds what it needs without anybody going back to an earlier stage.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from edgegenre_export.accept.stage import accept
from edgegenre_export.accept.verdict import AcceptanceReport
from edgegenre_export.check.agreement import Agreement
from edgegenre_export.check.stage import check
from edgegenre_export.convert.stage import convert
from edgegenre_export.package.stage import package
from edgegenre_export.prepare.stage import prepare
from edgegenre_export.quantize.stage import quantize
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.bundle import check_destination

from .job import ExportJob
from .recipes import Recipe
from .steps import Progress, ignore_steps

__all__ = ["ExportResult", "export_bundle"]


@dataclasses.dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export.

    Attributes
    ----------
    path
        The bundle's directory, absolute.
    recipe
        The recipe that was followed.
    agreement
        Model file to how it differs from the float network, on the calibration windows.
    model_reports
        Model file to its model report.
    waveform_agreement
        Waveform model to how it differs from the mel path (front-end, then the int8 model that is in it), on the
        golden PCM.
    sizes_bytes
        Model file to its size.
    acceptance
        What the acceptance gate found; None if it was off.
    seconds
        How long the export took, in s.
    """

    path: Path
    recipe: Recipe
    agreement: Mapping[str, Agreement]
    model_reports: Mapping[str, ModelReport]
    waveform_agreement: Mapping[str, Agreement]
    sizes_bytes: Mapping[str, int]
    acceptance: AcceptanceReport | None
    seconds: float


def export_bundle(job: ExportJob, progress: Progress = ignore_steps) -> ExportResult:
    """Export a network as a bundle.

    Parameters
    ----------
    job
        What is exported, how, and where to.
    progress
        Called with each step as it begins; ``str(step)`` is one line.

    Raises
    ------
    BundleError
        If the bundle cannot be written; before anything is converted where the destination shows it.
    UsageError, SpecError, DataError
        If data or a teacher for fine-tuning does not fit.
    ExportError
        If a model cannot be converted or is not what it should be.
    GateError
        If the acceptance gate refuses the artifacts: the bundle is then ``OUT.rejected``, and ``OUT`` is unchanged.
    """
    started = time.perf_counter()
    check_destination(job.destination)
    prepared = prepare(job, progress)
    quantized = quantize(job, prepared, progress)
    artifacts = convert(job, quantized, progress)
    checked = check(job, artifacts, progress)
    accepted = accept(job, checked, progress)
    bundle = package(job, accepted, progress)
    return ExportResult(
        path=bundle.path,
        recipe=job.recipe,
        agreement=checked.agreement,
        model_reports={name: model.report for name, model in artifacts.models.items()},
        waveform_agreement=checked.waveform_agreement,
        sizes_bytes={name: len(model.content) for name, model in artifacts.models.items()},
        acceptance=accepted.report,
        seconds=time.perf_counter() - started,
    )
