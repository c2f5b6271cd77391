"""Evaluation of a checkpoint, or of a bundle's int8 network, on one part of a feature cache; two models compared."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import load_checkpoint, save_checkpoint
from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.heads.checkpoint import load_head, save_head
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.network.task import Task
from edgegenre_runtime.workers import Workers

from .metrics.single_label import Calibration, Metrics, calibration, mcnemar_exact, measure
from .models import open_ensemble, predictor_in_worker
from .scoring import TrackScores, score_answers, score_tracks, smoothed, track_windows
from .sequence import open_head

__all__ = [
    "ALL",
    "ChangedClip",
    "Comparison",
    "Evaluation",
    "compare",
    "evaluate",
    "read_label_map",
    "record_metrics",
]

ALL = "all"
"""The part that means every track of a cache, whatever its split."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The results of a model on a part of a data set.

    Attributes
    ----------
    model, data, part
        The model, the data and the part, as on the command line.
    labels
        Class names in the order of the probabilities.
    names
        Name of each track.
    scores
        Probabilities of windows and tracks, and the truth.
    tracks, windows
        Metrics over tracks, and over windows.
    answers
        Calibration of the windows' probabilities as a listening device smooths them
        (:func:`edgegenre_runtime.network.smoothing.smooth_track`).
    dropped
        Tracks left out because the label map has no class for them.
    """

    model: str
    data: str
    part: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    scores: TrackScores
    tracks: Metrics
    windows: Metrics
    answers: Calibration
    dropped: int = 0

    def summary(self) -> dict[str, Any]:
        """Return the main metrics as JSON-ready keys and values."""
        main = {
            "weighted_f1": round(self.tracks.weighted_f1, 4),
            "ece": round(self.tracks.calibration.ece, 4),
            "answer_ece": round(self.answers.ece, 4),
        }
        return self.scores.summary() | main | ({"dropped_tracks": self.dropped} if self.dropped else {})

    def details(self) -> dict[str, Any]:
        """Return the main metrics, the classes and the confusion matrix, JSON-ready."""
        return self.summary() | {
            "window_ece": round(self.windows.calibration.ece, 4),
            "macro_f1": round(self.tracks.macro_f1, 4),
            "macro_recall": round(self.tracks.macro_recall, 4),
            "labels": list(self.labels),
            "classes": [dataclasses.asdict(row) for row in self.tracks.classes],
            "confusion": self.tracks.confusion.tolist(),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedClip:
    """A track for which two models predict different classes: its class and the two predictions."""

    name: str
    truth: str
    answer_a: str
    answer_b: str


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same tracks.

    Attributes
    ----------
    changed
        Tracks with different predictions, by name.
    only_a_right, only_b_right
        How many of them only the first, and only the second, model has correct.
    p_value
        McNemar's exact test, two-sided.
    """

    changed: tuple[ChangedClip, ...]
    only_a_right: int
    only_b_right: int
    p_value: float


def evaluate(
    model: Path,
    features: Path,
    part: str,
    label_map: Mapping[str, str] | None = None,
    others: Sequence[Path] = (),
    workers: Workers | None = None,
) -> Evaluation:
    """Score a model on a part of a data set.

    Parameters
    ----------
    model
        A bundle (folder with ``manifest.json``, or ``.zip``), else a checkpoint.
    features
        Feature cache with a split, of the model's front-end.
    part
        ``"train"``, ``"valid"``, ``"test"``, or ``"all"`` for every track.
    label_map
        For another data set: from its labels to the model's classes. Tracks of other labels are left out and counted.
        Without it the classes must be the same.
    others
        Further models of the same front-end and classes: probabilities are averaged over all.
    workers
        Where the networks run; by default in this process.

    Raises
    ------
    UsageError
        If the models of an ensemble differ in classes or front-end, or the map names a label that the data set, or
        a class that the model, does not have.
    DataError
        If the cache has other classes than the model, another front-end, or no track in ``part``.
    """
    labels, tables, predict, task, _ = open_ensemble([model, *others])
    cache = load_cache(features, tables)
    cache.require_single(str(model))
    tracks = np.arange(len(cache.names), dtype=np.int64) if part == ALL else cache.tracks_of(part)
    if not len(tracks):
        raise DataError(f"{features}: no tracks in part {part!r}: split the data set first")
    if label_map is None and cache.labels != labels:
        raise DataError(
            f"{features}: has classes {', '.join(cache.labels)}, the model has {', '.join(labels)}; give a label map "
            "(--map)"
        )
    dropped = 0
    if label_map is not None:
        cache, is_mapped = _mapped(cache, labels, label_map)
        dropped = int((~is_mapped[tracks]).sum())
        tracks = tracks[is_mapped[tracks]]
        if not len(tracks):
            raise DataError(f"{features}: the label map leaves no track of part {part!r}")
    head = open_head(model)
    if workers is not None:
        predict = predictor_in_worker([model, *others])
        head = None if head is None else predictor_in_worker([model], with_head=True)
    run_each = map if workers is None else workers.map
    if head is None:
        scores = score_tracks(predict, cache, tracks, tables, task, run_each=run_each)
    elif others:
        raise UsageError(f"{model} has a head over windows: an ensemble is of networks without one")
    else:
        answers = list(run_each(head, (track_windows(cache, int(track), tables) for track in tracks)))
        scores = score_answers(answers, cache.y[tracks].astype(np.int64))
    return Evaluation(
        model=" + ".join(map(str, [model, *others])),
        data=str(features),
        part=part,
        labels=labels,
        names=tuple(cache.names[track] for track in tracks),
        scores=scores,
        tracks=measure(scores.probabilities, scores.truth, labels),
        windows=measure(scores.window_probabilities, scores.window_truth, labels),
        answers=_answers(scores, tables),
        dropped=dropped,
    )


def _answers(scores: TrackScores, tables: Tables) -> Calibration:
    smooth = smoothed(scores.window_probabilities, scores.windows_per_track, tables)
    return calibration(smooth.max(axis=1), smooth.argmax(axis=1) == scores.window_truth)


def compare(a: Evaluation, b: Evaluation) -> Comparison:
    """Compare two models on the same tracks; raises :class:`UsageError` if they were not evaluated on the same."""
    if (a.names, a.labels) != (b.names, b.labels):
        raise UsageError(f"{a.model} and {b.model} were not evaluated on the same tracks and classes")
    truth = a.scores.truth
    answers_a, answers_b = (e.scores.probabilities.argmax(axis=1) for e in (a, b))
    changed = [
        ChangedClip(a.names[i], a.labels[truth[i]], a.labels[answers_a[i]], a.labels[answers_b[i]])
        for i in np.flatnonzero(answers_a != answers_b)
    ]
    only_a = int(((answers_a == truth) & (answers_b != truth)).sum())
    only_b = int(((answers_b == truth) & (answers_a != truth)).sum())
    return Comparison(tuple(sorted(changed, key=lambda c: c.name)), only_a, only_b, mcnemar_exact(only_a, only_b))


def read_label_map(path: Path) -> dict[str, str]:
    """Read a JSON object from a data set's labels to a model's classes; raises :class:`DataError`."""
    try:
        document = parse_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the label map ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: the label map is not JSON in UTF-8") from error
    if not isinstance(document, dict) or not document or not all(isinstance(v, str) for v in document.values()):
        raise DataError(f'{path}: a label map is one JSON object such as {{"Hip-Hop": "hiphop"}}')
    return document


def record_metrics(path: Path, part: str, figures: dict[str, Any], command: str, task: Task | None = None) -> None:
    """Write scores and their command into a checkpoint, or its head, from where card and manifest take them.

    With a ``task``, its thresholds take the place of the checkpoint's.
    """
    checkpoint, head = load_checkpoint(path), load_head(path)
    if head is not None:
        metrics = {**head.meta.get("metrics", {}), part: {**figures, "command": command}}
        run = path if os.path.isdir(path) else path.parent
        save_head(run, dataclasses.replace(head, meta={**head.meta, "metrics": metrics}), checkpoint)
        return
    metrics = {**checkpoint.meta.get("metrics", {}), part: {**figures, "command": command}}
    weights = (path / "best.safetensors" if os.path.isdir(path) else path).with_suffix(".safetensors")
    meta = {**checkpoint.meta, "metrics": metrics}
    save_checkpoint(weights, dataclasses.replace(checkpoint, meta=meta, task=task or checkpoint.task))


def _mapped(
    cache: FeatureCache, labels: tuple[str, ...], label_map: Mapping[str, str]
) -> tuple[FeatureCache, npt.NDArray[np.bool_]]:
    """Return the cache with the model's labels, and which tracks have one, bool [n]."""
    for names, allowed, owner in ((label_map, cache.labels, "data set"), (label_map.values(), labels, "model")):
        unknown = sorted(set(names) - set(allowed))
        if unknown:
            raise UsageError(
                f"the label map names {unknown[0]!r}, which the {owner} does not have; it has {', '.join(allowed)}"
            )
    new_index = np.array([labels.index(label_map[lb]) if lb in label_map else -1 for lb in cache.labels], np.int64)
    y = new_index[cache.y]
    return dataclasses.replace(cache, y=np.maximum(y, 0), labels=labels), y >= 0
