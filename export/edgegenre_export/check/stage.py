"""Stage 4: whether every artifact is what it should be, and what each answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_export.convert.stage import Artifact, Artifacts
from edgegenre_export.inputs.reference_tracks import ReferenceTracks, toy_pcm
from edgegenre_export.job import ExportJob
from edgegenre_export.recipes import ENGINE_FILE, body_of, is_waveform
from edgegenre_export.steps import Progress, Steps
from edgegenre_runtime.network.golden import embedding_key, golden_key
from edgegenre_runtime.network.personal.class_statistics import ClassStatistics
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.task import ONE_LABEL, Task

from .agreement import Agreement, compare
from .class_statistics import measure_statistics
from .embedding_check import EmbeddingRecord, check_embedding
from .engine_answers import engine_answers
from .head_check import HeadAnswers, check_head
from .int8_check import require_int8, require_int8x16, require_waveform
from .model_answers import run_artifact, run_embeddings, run_waveform
from .tflite_micro import MicroTarget, check_micro

__all__ = ["CheckedArtifacts", "ReferenceAnswers", "check", "require_contracts"]

_INT8 = "model_int8.tflite"
_EMBEDDED_WINDOWS = 64
"""Calibration windows whose embeddings are compared with the float network's."""

_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ReferenceAnswers:
    """Probabilities float32 [N, C] of every window of some tracks.

    Attributes
    ----------
    tracks
        The tracks.
    trained
        The network as trained, where the artifacts are of a pruned or fine-tuned one.
    expected
        What each artifact is held to, by its name: the float network, or of a waveform model the mel path.
    answers
        What each artifact answers.
    """

    tracks: ReferenceTracks
    trained: _Floats | None
    expected: Mapping[str, _Floats]
    answers: Mapping[str, _Floats]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CheckedArtifacts:
    """The artifacts, and what they answer.

    Attributes
    ----------
    artifacts
        The artifacts, whose model reports are what they should be.
    agreement
        Model file to how it differs from the float network, on the calibration windows.
    waveform_agreement
        Waveform model to how it differs from the mel path (front-end, then the int8 model that is in it), on the
        golden PCM.
    golden
        The golden vectors: the job's, with the raw output of every model file.
    engine
        The network compiled for the project's own engine; None where the engine does not take it, or LiteRT answers
        otherwise.
    micro
        Whether TFLite Micro runs the int8 TFLite model; None without one.
    embeddings
        Model file to its embedding; without those that give none.
    statistics
        Where its classes lie; None without an embedding or the training tracks.
    head
        What the head over windows answers; None without one.
    reference, rendered
        Answers to the job's reference tracks, and of waveform models to rendered music, as caches hold no PCM; None if
        the acceptance gate is off, or there is no waveform model.
    """

    artifacts: Artifacts
    agreement: Mapping[str, Agreement]
    waveform_agreement: Mapping[str, Agreement]
    golden: Mapping[str, npt.NDArray[Any]]
    engine: bytes | None
    micro: MicroTarget | None
    embeddings: Mapping[str, EmbeddingRecord]
    statistics: ClassStatistics | None
    head: HeadAnswers | None
    reference: ReferenceAnswers | None
    rendered: ReferenceAnswers | None

    @property
    def embedding(self) -> EmbeddingRecord | None:
        """The embedding of the int8 TFLite model; None if it gives none."""
        return self.embeddings.get(_INT8)


def check(job: ExportJob, artifacts: Artifacts, progress: Progress) -> CheckedArtifacts:
    """Check the artifacts' model reports, and run each artifact once over every window that is asked about.

    Raises
    ------
    ExportError
        If a model report is not what it should be, or TFLite Micro answers something else.
    """
    models, quantized, top_db = artifacts.models, artifacts.quantized, job.tables.spec.top_db
    task = job.network.task
    steps = Steps("check", 1 + len(models) + 2 * (_INT8 in models) + (job.head is not None), progress)
    steps.begin("checking the model reports")
    require_contracts(models, top_db, task)
    embedded = job.calibration.windows[:_EMBEDDED_WINDOWS]
    rendered = toy_pcm(job.tables) if job.reference is not None and any(map(is_waveform, models)) else None
    outputs, vectors = {}, {}
    for name, artifact in models.items():
        steps.begin(f"running {name}")
        outputs[name] = _run(name, artifact.content, _inputs(name, job, models, rendered), top_db)
        if artifact.report.embedding() is not None:
            vectors[name] = run_embeddings(name, artifact.content, _embedded(name, job))
    golden = {**job.golden, **_golden_outputs(outputs, models, job)}
    if _INT8 in vectors:
        golden[embedding_key(_INT8)] = vectors[_INT8][len(embedded) : len(embedded) + len(job.golden["cells"])]
    logits = {name: _in_floats(models[name], found) for name, found in outputs.items()}
    windowed = [name for name in models if not is_waveform(name)]
    agreement = {name: compare(quantized.logits, logits[name]["calibration"], task) for name in windowed}
    waveform_agreement = {
        name: compare(logits[body_of(name)]["golden"], task.logits(logits[name]["golden"]), task)
        for name in filter(is_waveform, models)
    }
    records = {
        name: check_embedding(models[name], found[: len(embedded)], quantized, embedded, top_db)
        for name, found in vectors.items()
    }
    statistics = _statistics(job, models[_INT8], vectors[_INT8]) if _INT8 in vectors else None
    engine, micro = None, None
    if _INT8 in models:
        steps.begin(f"running {ENGINE_FILE}'s reference")
        engine, logits_of_engine = _check_engine(artifacts, golden, steps)
        golden |= logits_of_engine
        steps.begin("running model_int8.tflite with TFLite Micro")
        reference_kernels = golden[golden_key(_INT8, reference_kernels=True)]
        micro = check_micro(models[_INT8].content, golden["cells"], reference_kernels)
    if job.head is not None:
        steps.begin("running the head")
    head = check_head(job, artifacts, golden)
    if head is not None:
        golden |= head.golden
    return CheckedArtifacts(
        artifacts=artifacts,
        agreement=agreement,
        waveform_agreement=waveform_agreement,
        golden=golden,
        engine=engine,
        micro=micro,
        embeddings={name: record for name, record in records.items() if record is not None},
        statistics=statistics,
        head=head,
        reference=_reference_answers(job, artifacts, logits),
        rendered=None if rendered is None else _rendered_answers(rendered[1], logits, task),
    )


def _embedded(name: str, job: ExportJob) -> npt.NDArray[np.int8]:
    """Return the windows whose embeddings are asked for: of calibration, golden, and for TFLite the training tracks."""
    windows = (job.calibration.windows[:_EMBEDDED_WINDOWS], job.golden["cells"])
    training = job.training if name == _INT8 else None
    return np.concatenate(windows if training is None else (*windows, training.cells))


def _statistics(job: ExportJob, artifact: Artifact, raw: npt.NDArray[np.int8]) -> ClassStatistics | None:
    """Return where the classes of the training tracks lie, from the embeddings of :func:`_embedded`."""
    port, training = artifact.report.embedding(), job.training
    if training is None or training.truth is None or port is None or port.scale is None or port.zero_point is None:
        return None
    if job.network.task.kind != "single":  # a device learns genres of which a track has one
        return None
    counts = [len(cells) for cells in training.windows]
    vectors = dequantize(raw[-sum(counts) :], port.scale, port.zero_point)
    tracks = np.split(vectors, np.cumsum(counts)[:-1])
    return measure_statistics(tracks, training.truth, len(job.network.labels))


def require_contracts(models: Mapping[str, Artifact], top_db: int, task: Task = ONE_LABEL) -> None:
    """Raise :class:`ExportError` unless int8 models are pure, and waveform models have the int8 model in them."""
    for name, artifact in models.items():
        if is_waveform(name):
            require_waveform(artifact.report, models[body_of(name)].report, task.kind)
        elif "int8x16" in name:
            require_int8x16(artifact.report, top_db)
        elif "int8" in name:
            require_int8(artifact.report, top_db)


def _inputs(
    name: str,
    job: ExportJob,
    models: Mapping[str, Artifact],
    rendered: tuple[npt.NDArray[np.int16], ReferenceTracks] | None,
) -> dict[str, npt.NDArray[Any]]:
    """Return what a model is run over: PCM for a waveform model, else window cells."""
    if is_waveform(name):
        return {"golden": job.golden["pcm"]} | ({} if rendered is None else {"rendered": rendered[0]})
    inputs = {"calibration": job.calibration.windows, "golden": job.golden["cells"]}
    if job.reference is not None:
        inputs["reference"] = job.reference.cells
    if rendered is not None and name in map(body_of, filter(is_waveform, models)):
        inputs["rendered"] = rendered[1].cells
    return inputs


def _run(name: str, model: bytes, inputs: Mapping[str, npt.NDArray[Any]], top_db: int) -> dict[str, npt.NDArray[Any]]:
    """Return a model's raw output to each of its inputs, [N, C] for [N, ...]; the model is loaded once."""
    every = np.concatenate(list(inputs.values()))
    outputs = run_waveform(name, model, every) if is_waveform(name) else run_artifact(name, model, every, top_db)
    ends = np.cumsum([len(part) for part in inputs.values()])
    return dict(zip(inputs, np.split(outputs, ends[:-1]), strict=True))


def _golden_outputs(
    outputs: Mapping[str, Mapping[str, npt.NDArray[Any]]], models: Mapping[str, Artifact], job: ExportJob
) -> dict[str, npt.NDArray[Any]]:
    """Return the raw output of every model file to the golden vectors, by its key in ``golden.npz``.

    TFLite's are those of LiteRT's default kernels (XNNPACK); those of the plain reference kernels stand beside the
    int8 model's, for devices without XNNPACK.
    """
    golden = {}
    for name, found in outputs.items():
        golden[golden_key(name)] = found["golden"]
        if name == _INT8:
            model, cells, top_db = models[name].content, job.golden["cells"], job.tables.spec.top_db
            key = golden_key(name, reference_kernels=True)
            golden[key] = run_artifact(name, model, cells, top_db, reference_kernels=True)
    return golden


def _check_engine(
    artifacts: Artifacts, golden: Mapping[str, npt.NDArray[Any]], steps: Steps
) -> tuple[bytes | None, dict[str, npt.NDArray[Any]]]:
    """Return ``net.eg`` and its golden outputs, or none of both where the bundle runs on LiteRT alone."""
    blob = artifacts.engine
    if blob is None or blob.content is None:
        steps.note(f"no {ENGINE_FILE}: {'' if blob is None else blob.refusal}")
        return None, {}
    keys = (golden_key, embedding_key)
    answers = engine_answers(artifacts.models[_INT8].content, golden["cells"])
    if not all(np.array_equal(found, golden[key(_INT8)]) for key, found in zip(keys, answers, strict=False)):
        steps.note(f"no {ENGINE_FILE}: LiteRT answers the golden windows otherwise here (without XNNPACK?)")
        return None, {}
    return blob.content, {key(ENGINE_FILE): found for key, found in zip(keys, answers, strict=False)}


def _in_floats(artifact: Artifact, outputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, _Floats]:
    """Return raw outputs as the float32 that they stand for."""
    port = artifact.report.only("output")
    if port.scale is None or port.zero_point is None:
        return dict(outputs)
    return {key: dequantize(raw, port.scale, port.zero_point) for key, raw in outputs.items()}


def _reference_answers(
    job: ExportJob, artifacts: Artifacts, logits: Mapping[str, Mapping[str, _Floats]]
) -> ReferenceAnswers | None:
    if job.reference is None:
        return None
    prepared, cells = artifacts.quantized.prepared, job.reference.cells
    task, expected = job.network.task, prepared.network.probabilities(cells)
    answers = {name: task.probabilities(found["reference"]) for name, found in logits.items() if "reference" in found}
    trained = job.network.probabilities(cells) if prepared.is_tuned else None
    return ReferenceAnswers(job.reference, trained, dict.fromkeys(answers, expected), answers)


def _rendered_answers(
    tracks: ReferenceTracks, logits: Mapping[str, Mapping[str, _Floats]], task: Task
) -> ReferenceAnswers:
    names = [name for name in logits if is_waveform(name)]
    expected = {name: task.probabilities(logits[body_of(name)]["rendered"]) for name in names}
    return ReferenceAnswers(tracks, None, expected, {name: logits[name]["rendered"] for name in names})
