"""Stage 5: the acceptance gate, which compares every artifact with the network that it comes from."""

from __future__ import annotations

import dataclasses

import onnx

from edgegenre_export.check.embedding_check import EmbeddingRecord
from edgegenre_export.check.stage import CheckedArtifacts, ReferenceAnswers
from edgegenre_export.job import ExportJob
from edgegenre_export.recipes import body_of, is_waveform
from edgegenre_export.steps import Progress, Steps
from edgegenre_runtime.inspect.mediapipe_metadata import read_metadata
from edgegenre_runtime.network.task import Task

from .layer_error import attribute
from .verdict import AcceptanceReport, Limits, Verdict, judge, judge_tuning

__all__ = ["AcceptedArtifacts", "accept"]

_FLOAT = "the float network"
_FLOAT_CHAIN = "the float network and head"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AcceptedArtifacts:
    """The artifacts, and whether they may stand for the network.

    Attributes
    ----------
    checked
        The artifacts and their answers.
    report
        What the gate found; None if it was off.
    """

    checked: CheckedArtifacts
    report: AcceptanceReport | None


def accept(job: ExportJob, checked: CheckedArtifacts, progress: Progress) -> AcceptedArtifacts:
    """Judge every artifact, and pruning and fine-tuning; name the layers that rounding hurts most if one fails."""
    reference = checked.reference
    if reference is None:
        return AcceptedArtifacts(checked, None)
    tracks, limits, task = reference.tracks, Limits(), job.network.task
    steps = Steps("accept", 2, progress)
    steps.begin(f"comparing answers on {len(tracks.names)} tracks of {tracks.source}")
    verdicts = []
    if reference.trained is not None:
        tuned = next(iter(reference.expected.values()))
        verdicts.append(judge_tuning(_FLOAT, reference.trained, tuned, tracks, task, limits))
    for answers in filter(None, (reference, checked.rendered)):
        verdicts += _judge(answers, checked, task, limits)
    if checked.head is not None and checked.head.tracks is not None and checked.head.expected is not None:
        tracks_once, expected = checked.head.tracks, checked.head.expected
        for name, now in checked.head.answers.items():
            verdicts.append(judge(name, _FLOAT_CHAIN, expected, now, tracks_once, task, limits))
    report = AcceptanceReport(tracks.source, tracks.digest(), limits, tuple(verdicts))
    if any(verdict.faults and verdict.against == _FLOAT for verdict in verdicts):
        steps.begin("looking for the layers at fault")
        report = dataclasses.replace(report, layers=attribute(checked.artifacts.quantized, tracks))
    return AcceptedArtifacts(checked, report)


def _judge(answers: ReferenceAnswers, checked: CheckedArtifacts, task: Task, limits: Limits) -> list[Verdict]:
    verdicts = []
    for name, now in answers.answers.items():
        against = f"the front-end and {body_of(name)}" if is_waveform(name) else _FLOAT
        verdict = judge(name, against, answers.expected[name], now, answers.tracks, task, limits)
        verdict = _with_label_fault(verdict, checked.artifacts.models[name].content, task.labels)
        verdicts.append(_with_embedding_fault(verdict, checked.embeddings.get(name), limits))
    return verdicts


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


def _with_embedding_fault(verdict: Verdict, record: EmbeddingRecord | None, limits: Limits) -> Verdict:
    """Return the verdict with a fault more if the artifact's embedding is not the float network's."""
    cosine = None if record is None else record.mean_cosine
    if cosine is None or cosine >= limits.embedding_cosine:
        return verdict
    fault = f"gives another embedding (mean cosine {cosine:.3f}; allowed are {limits.embedding_cosine} and more)"
    return dataclasses.replace(verdict, faults=(*verdict.faults, fault))
