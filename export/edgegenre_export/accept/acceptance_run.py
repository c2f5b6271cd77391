"""Running the gate: the network and every artifact over the gate's tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import onnx

from edgegenre_export.check.derived_targets import body_of
from edgegenre_export.check.layer_error import attribute
from edgegenre_export.check.run_models import is_waveform, run_torch, run_waveform
from edgegenre_export.convert.artifacts import probabilities
from edgegenre_export.job import Subject
from edgegenre_export.quantize.calibration import Calibration
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.inspect.mediapipe_metadata import read_metadata
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.quantization import softmax

from .reference_data import GateSet, toy_pcm
from .verdict import GateReport, Limits, Verdict, judge, judge_tuning

__all__ = ["run_gate"]

_FLOAT = "the float network"


def run_gate(
    subject: Subject,
    untuned: Subject | None,
    tables: Tables,
    models: Mapping[str, bytes],
    model_reports: Mapping[str, ModelReport],
    calibration: Calibration,
    tracks: GateSet,
    progress: Callable[[str], None],
    limits: Limits | None = None,
) -> GateReport:
    """Judge every artifact, and pruning and fine-tuning; name the worst layers if one fails.

    Parameters
    ----------
    subject
        The float network that was converted.
    untuned
        The network before pruning and fine-tuning, or none.
    tables
        Its front-end.
    models, model_reports
        File name to content and model_report.
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
        if is_waveform(name):
            continue
        progress(f"gate: {name}")
        now = probabilities(name, model, model_reports[name], cells, top_db)
        verdict = judge(name, _FLOAT, before, now, tracks, labels, limits)
        verdicts.append(_with_label_fault(verdict, model, labels))
    verdicts += _judge_waveforms(models, model_reports, labels, tables, limits, progress)
    report = GateReport(tracks.source, tracks.digest(), limits, tuple(verdicts))
    if not any(verdict.faults and verdict.against == _FLOAT for verdict in verdicts):
        return report
    progress("gate: looking for the layers at fault")
    return dataclasses.replace(report, layers=attribute(subject.network, calibration.windows, cells, top_db))


def _judge_waveforms(
    models: Mapping[str, bytes],
    model_reports: Mapping[str, ModelReport],
    labels: tuple[str, ...],
    tables: Tables,
    limits: Limits,
    progress: Callable[[str], None],
) -> tuple[Verdict, ...]:
    """Hold every waveform model to the mel path, front-end and int8 body, on rendered music: caches have no PCM."""
    names = [name for name in models if is_waveform(name)]
    if not names:
        return ()
    progress(f"gate: {', '.join(names)} on rendered music")
    pcm, tracks = toy_pcm(tables)
    verdicts = []
    for name in names:
        body = body_of(name)
        before = probabilities(body, models[body], model_reports[body], tracks.cells, tables.spec.top_db)
        now = run_waveform(name, models[name], pcm)
        verdict = judge(name, f"the front-end and {body}", before, now, tracks, labels, limits)
        verdicts.append(_with_label_fault(verdict, models[name], labels))
    return tuple(verdicts)


def _with_label_fault(verdict: Verdict, model: bytes, labels: tuple[str, ...]) -> Verdict:
    """Return the verdict with a fault more if the model carries other labels than the network's."""
    carried: tuple[str, ...] | None = None
    if verdict.artifact.endswith(".onnx"):
        properties = {item.key: item.value for item in onnx.load_from_string(model).metadata_props}
        carried = tuple(properties["labels"].split("\n")) if "labels" in properties else None
    else:
        metadata = read_metadata(model)
        carried = metadata.labels if metadata is not None else None
    if carried is None or carried == labels:
        return verdict
    fault = f"carries the labels {', '.join(carried)}; the network's are {', '.join(labels)}"
    return dataclasses.replace(verdict, faults=(*verdict.faults, fault))
