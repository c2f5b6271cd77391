"""Running the gate: the network and every artefact over the gate's tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.quantised import dequantise, softmax

from .calibration import Calibration
from .certificate import Certificate
from .gate import AS_TRAINED, GateReport, Limits, Verdict, judge, judge_tuning
from .gate_data import GateSet
from .layers import attribute
from .replay import run_artefact, run_torch
from .subject import Subject

__all__ = ["run_gate"]

_FLOAT = "the float network"


def run_gate(
    subject: Subject,
    untuned: Subject | None,
    models: Mapping[str, bytes],
    certificates: Mapping[str, Certificate],
    calibration: Calibration,
    tracks: GateSet,
    progress: Callable[[str], None],
    limits: Limits | None = None,
) -> GateReport:
    """Judge every artefact that takes windows, and pruning and fine-tuning; name the worst layers if one fails.

    Parameters
    ----------
    subject
        The float network that was converted.
    untuned
        The network before pruning and fine-tuning, or none.
    models, certificates
        File name to content and certificate.
    calibration
        Windows that set the ranges, for the simulated rounding.
    tracks
        What all of them answer.
    progress
        Called with one line a step.
    limits
        What is allowed; the defaults if not given.
    """
    limits = limits if limits is not None else Limits()
    cells, top_db, labels = tracks.cells, subject.spec.top_db, subject.labels
    progress(f"gate: the float network on {len(cells)} windows of {tracks.source}")
    before = softmax(run_torch(subject.network, cells, top_db))
    verdicts: list[Verdict] = []
    if untuned is not None:
        trained = softmax(run_torch(untuned.network, cells, top_db))
        verdicts.append(judge_tuning(_FLOAT, trained, before, tracks, labels, limits))
    for name, model in models.items():
        progress(f"gate: {name}")
        now = _answers(name, model, certificates[name], cells, top_db)
        verdicts.append(judge(name, _FLOAT, before, now, tracks, labels, limits))
    report = GateReport(tracks.source, tracks.digest(), limits, tuple(verdicts))
    if not any(verdict.faults and verdict.against != AS_TRAINED for verdict in verdicts):
        return report
    progress("gate: looking for the layers at fault")
    return dataclasses.replace(report, layers=attribute(subject.network, calibration.windows, cells, top_db))


def _answers(
    name: str, model: bytes, certificate: Certificate, cells: npt.NDArray[np.int8], top_db: int
) -> npt.NDArray[np.float32]:
    """Return an artefact's probabilities, float32 [N, C]."""
    made = run_artefact(name, model, cells, top_db)
    output = certificate.only("output")
    if output.scale is not None and output.zero_point is not None:
        made = dequantise(made, output.scale, output.zero_point)
    return softmax(made)
