"""The parity suite: one trained network by every implementation that a bundle has, over the same windows.

The others are compared with TFLite int8 by XNNPACK: the engine and the NumPy reference network, which must give the
same logits (:data:`EXACT`), TFLite's reference kernels, TFLite Micro, ONNX int8 and float, float torch, the waveform
model, and emulated ARM.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edgegenre.checkpoint import Checkpoint
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.data.windows import track_windows
from edgegenre_bench.emulate.emulated_board import EmulationJob, emulated_logits
from edgegenre_bench.measure.clips import clip_names, read_clip_pcm
from edgegenre_bench.progress import Progress, no_progress
from edgegenre_bench.results.result import MODEL
from edgegenre_export.check.model_answers import run_artifact, run_waveform
from edgegenre_export.convert.float_frontend import FloatFrontend
from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.tflite.from_torch import frontend_tflite
from edgegenre_export.convert.tflite.join import join_tflite
from edgegenre_export.inputs.trained_network import checkpoint_network
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize
from edgegenre_runtime.network import engine
from edgegenre_runtime.network.quantization import dequantize, softmax
from edgegenre_runtime.network.reference import Reference
from edgegenre_runtime.printable import printable

__all__ = ["EXACT", "Windows", "exact_differ", "run_suite", "windows_of_cache", "windows_of_clips"]

_AUDIO, _INT8_ONNX = "model_audio.tflite", "model_int8.onnx"
_ENGINE = "net.eg"
EXACT = ("edgegenre engine", "NumPy reference network")
"""The implementations whose logits are those of TFLite int8 by XNNPACK, tolerance 0."""
_MICRO_ARENA_BYTES = 1 << 24
"""More than any of our networks needs."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """What all implementations run on.

    Attributes
    ----------
    cells
        int8 [N, n_mels, frames].
    pcm
        int16 [N, window_samples] of the same windows, None where there is no audio.
    clip
        Which clip each window is of, int64 [N].
    names
        Name of each clip.
    truth
        Class of each clip by the bundle's labels, None where it is not known.
    """

    cells: npt.NDArray[np.int8]
    pcm: npt.NDArray[np.int16] | None
    clip: npt.NDArray[np.int64]
    names: tuple[str, ...]
    truth: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Answers:
    """An implementation's probabilities float32 [N, C], and its int8 logits where they have TFLite's scale."""

    probabilities: npt.NDArray[np.float32]
    logits: npt.NDArray[np.int8] | None = None


def windows_of_cache(cache: FeatureCache, part: str, classifier: GenreClassifier) -> Windows:
    """Return the half-overlapping windows of a part of a feature cache.

    Raises
    ------
    DataError
        If the part is empty, or holds a class that the bundle does not have.
    """
    tracks = [int(track) for track in cache.tracks_of(part)]
    unknown = sorted({cache.labels[cache.y[track]] for track in tracks} - set(classifier.labels))
    if unknown or not tracks:
        what = f"class {unknown[0]!r}, which the bundle does not have" if unknown else "no tracks"
        raise DataError(f"part {part!r} of the cache holds {what}")
    cells = [track_windows(cache, track, classifier.tables) for track in tracks]
    truth = tuple(classifier.labels.index(cache.labels[cache.y[track]]) for track in tracks)
    return Windows(
        cells=np.concatenate(cells),
        pcm=None,
        clip=np.repeat(np.arange(len(tracks)), [len(one) for one in cells]),
        names=tuple(printable(cache.names[track]) for track in tracks),
        truth=truth,
    )


def windows_of_clips(files: Sequence[Path], classifier: GenreClassifier) -> Windows:
    """Return the half-overlapping windows of audio files, with their PCM.

    Raises
    ------
    UsageError
        If a clip is shorter than a window.
    """
    tables, spec = classifier.tables, classifier.tables.spec
    hop = spec.frames_per_window // 2 * spec.hop_samples
    cells, pcms, clip = [], [], []
    for number, file in enumerate(files):
        pcm = read_clip_pcm(file, spec)
        for start in range(0, len(pcm) - spec.window_samples + 1, hop):
            piece = pcm[start : start + spec.window_samples]
            pcms.append(piece)
            cells.append(normalize(log_mel(piece, tables).frames_q9, tables).cells)
            clip.append(number)
    return Windows(np.stack(cells), np.stack(pcms), np.array(clip), tuple(clip_names(files)), None)


def _implementations(
    classifier: GenreClassifier, checkpoint: Checkpoint, emulated: Sequence[EmulationJob], progress: Progress
) -> dict[str, Callable[[Windows], _Answers | str]]:
    """Return every implementation by its name; one answers with a sentence where it cannot run."""
    bundle, top_db = classifier.bundle, classifier.tables.spec.top_db
    files = bundle.manifest["files"]
    quantization = classifier.backend.output_quantization

    def from_logits(logits: npt.NDArray[np.int8]) -> _Answers:
        return _Answers(softmax(dequantize(logits, *quantization)), logits)

    def by_int8_onnx(windows: Windows) -> _Answers | str:
        if _INT8_ONNX not in files:
            return f"the bundle has no {_INT8_ONNX}"
        content = bundle.read(_INT8_ONNX)
        metadata = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
        outputs = run_artifact(_INT8_ONNX, content, windows.cells, top_db)
        logits = dequantize(outputs, float(metadata["output_scale"]), int(metadata["output_zero_point"]))
        return _Answers(softmax(logits))

    def by_engine(windows: Windows) -> _Answers | str:
        if _ENGINE not in files or engine.load() is None:
            return f"the bundle has no {_ENGINE}, or the C library is not built"
        compiled = engine.Engine(bundle.read(_ENGINE))
        return from_logits(np.stack([compiled.run(cells) for cells in windows.cells]))

    def by_reference(windows: Windows) -> _Answers | str:
        try:
            reference = Reference(model)
        except ValueError as error:
            return str(error)
        return from_logits(np.stack([reference.run(cells) for cells in windows.cells]))

    def by_float_onnx(windows: Windows) -> _Answers:
        content = float_onnx(network.module, classifier.tables.spec, {})
        return _Answers(softmax(run_artifact("model_float.onnx", content, windows.cells, top_db)))

    def by_waveform(windows: Windows) -> _Answers | str:
        if windows.pcm is None:
            return "needs audio: give clips"
        content = bundle.read(_AUDIO) if _AUDIO in files else _waveform_model(model, classifier.tables, bundle.labels)
        return _Answers(run_waveform(_AUDIO, content, windows.pcm))

    model, network = bundle.read(MODEL), checkpoint_network(checkpoint)
    implementations: dict[str, Callable[[Windows], _Answers | str]] = {
        "TFLite int8, XNNPACK": lambda w: from_logits(run_artifact(MODEL, model, w.cells, top_db)),
        EXACT[0]: by_engine,
        EXACT[1]: by_reference,
        "TFLite int8, reference kernels": lambda w: from_logits(
            run_artifact(MODEL, model, w.cells, top_db, reference_kernels=True)
        ),
        "TFLite Micro int8": lambda w: _micro(model, w.cells, from_logits),
        "ONNX int8": by_int8_onnx,
        "ONNX float": by_float_onnx,
        "torch float": lambda w: _Answers(softmax(network.logits(w.cells))),
        "waveform model": by_waveform,
    }
    for job in emulated:
        implementations[f"emulated {job.device}, TFLite int8"] = lambda w, job=job: from_logits(  # type: ignore[misc]
            emulated_logits(job, w.cells, progress)
        )
    return implementations


def _waveform_model(int8_model: bytes, tables: Tables, labels: tuple[str, ...]) -> bytes:
    """Return the waveform model that an export makes of an int8 one."""
    spec = tables.spec
    front = FloatFrontend(tables, (1, spec.n_mels, spec.frames_per_window, 1))
    return join_tflite(frontend_tflite(front, spec), int8_model, spec.sample_rate_hz, labels)


def _micro(
    model: bytes, cells: npt.NDArray[np.int8], from_logits: Callable[[npt.NDArray[np.int8]], _Answers]
) -> _Answers | str:
    """Run TFLite Micro's interpreter, in whose wheel are its reference kernels."""
    try:
        from edgegenre_export.check.tflite_micro import run_micro
    except ModuleNotFoundError:
        return "tflite-micro is not installed"
    return from_logits(run_micro(model, cells, _MICRO_ARENA_BYTES))


def run_suite(
    windows: Windows,
    classifier: GenreClassifier,
    checkpoint: Checkpoint,
    emulated: Sequence[EmulationJob] = (),
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Run every implementation over all windows and compare it with TFLite int8 by XNNPACK.

    Returns
    -------
    list of dict
        A row per implementation: ``implementation``, ``why_not`` (a sentence, where it could not run),
        ``windows_agree`` (share of
        windows with the same top class), ``clips_agree`` (clips with the same, by the mean of their windows),
        ``changed`` (names of the others), ``max_lsb`` (of a logit; None where the scale is another),
        ``max_probability_difference``, and ``clips_right`` (None where the truth is not known).
    """
    reference: _Answers | None = None
    rows = []
    for name, run in _implementations(classifier, checkpoint, emulated, progress).items():
        progress(f"{name}: {len(windows.cells)} windows")
        answers = run(windows)
        if isinstance(answers, str):
            rows.append(_row(name, answers))
            continue
        reference = reference or answers
        rows.append(_row(name) | _agreement(reference, answers, windows))
    return rows


def exact_differ(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the implementations of :data:`EXACT` that ran and did not give the same logits."""
    return [row["implementation"] for row in rows if row["implementation"] in EXACT and row["max_lsb"]]


def _row(name: str, why_not: str = "") -> dict[str, Any]:
    return {
        "implementation": name,
        "why_not": why_not,
        "windows_agree": 0.0,
        "clips_agree": 0,
        "changed": [],
        "max_lsb": None,
        "max_probability_difference": 0.0,
        "clips_right": None,
    }


def _by_clip(answers: _Answers, windows: Windows) -> npt.NDArray[np.int64]:
    """Return the top class of each clip by the mean of its windows, int64 [clips]."""
    sums = np.zeros((len(windows.names), answers.probabilities.shape[1]))
    np.add.at(sums, windows.clip, answers.probabilities)
    return np.asarray(sums.argmax(axis=1))


def _agreement(reference: _Answers, answers: _Answers, windows: Windows) -> dict[str, Any]:
    clips = _by_clip(answers, windows)
    changed = np.flatnonzero(clips != _by_clip(reference, windows))
    lsb = None
    if reference.logits is not None and answers.logits is not None:
        lsb = int(np.abs(reference.logits.astype(int) - answers.logits).max())
    return {
        "windows_agree": float((_top(answers) == _top(reference)).mean()),
        "clips_agree": len(windows.names) - len(changed),
        "changed": [windows.names[index] for index in changed],
        "max_lsb": lsb,
        "max_probability_difference": float(np.abs(reference.probabilities - answers.probabilities).max()),
        "clips_right": None if windows.truth is None else int((clips == np.array(windows.truth)).sum()),
    }


def _top(answers: _Answers) -> npt.NDArray[np.int64]:
    return np.asarray(answers.probabilities.argmax(axis=1))
