"""Evaluation of networks that know several labels at a time, or a hierarchy, on one part of a feature cache."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.data.taxonomy_file import label_paths, read_taxonomy, with_taxonomy
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.network.task import Task, make_task
from edgegenre_runtime.workers import Workers

from .metrics.hierarchy import HierarchyMetrics, measure_hierarchy
from .metrics.multi_label import MultiLabelMetrics, measure_multi_label
from .metrics.truth import fit_thresholds
from .models import OpenModel, open_model, predictor_in_worker
from .run import ALL
from .scoring import TrackScores, score_tracks

__all__ = ["TaskEvaluation", "evaluate_task", "model_task", "read_thresholds"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TaskEvaluation:
    """The results of a multi-label or hierarchical model on a part of a data set.

    Attributes
    ----------
    model, data, part
        The model, the data and the part, as on the command line.
    task
        The model's task, with the thresholds that were used.
    names
        Name of each track.
    scores
        Probabilities of windows and tracks, and the truth.
    tracks
        Figures over tracks.
    """

    model: str
    data: str
    part: str
    task: Task
    names: tuple[str, ...]
    scores: TrackScores
    tracks: MultiLabelMetrics | HierarchyMetrics

    def summary(self) -> dict[str, Any]:
        """Return the main figures as JSON-ready keys and values."""
        return self.scores.summary() | self.tracks.summary()

    def details(self) -> dict[str, Any]:
        """Return the main figures, thresholds and the table of labels or nodes, JSON-ready."""
        rows = self.tracks.labels if isinstance(self.tracks, MultiLabelMetrics) else self.tracks.nodes
        about = {"task": self.task.kind, "labels": list(self.task.labels), "thresholds": dict(self.task.thresholds)}
        return self.summary() | about | {"classes": [dataclasses.asdict(row) for row in rows]}


def model_task(model: Path, taxonomy: Path | None = None) -> Task:
    """Return the task of a checkpoint or bundle, as a hierarchy where a taxonomy file says how its labels lie.

    Raises
    ------
    DataError
        What is wrong with the taxonomy.
    UsageError
        A taxonomy for a network that knows several labels at a time.
    """
    return _with_taxonomy(open_model(model), taxonomy)


def evaluate_task(
    model: Path,
    features: Path,
    part: str,
    thresholds: Path | None = None,
    taxonomy: Path | None = None,
    workers: Workers | None = None,
) -> TaskEvaluation:
    """Score a multi-label or hierarchical model on a part of a data set.

    Parameters
    ----------
    model
        A bundle, else a checkpoint; with ``taxonomy`` also one that knows plain labels.
    features
        Feature cache with a split, of the model's front-end and classes.
    part
        ``"train"``, ``"valid"``, ``"test"``, or ``"all"`` for every track.
    thresholds
        JSON file with thresholds in place of the model's (:func:`read_thresholds`).
    taxonomy
        CSV file that makes label paths of the plain labels of data and model. The thresholds of a model that has none
        are fitted on the validation tracks of ``features``.
    workers
        Where the network runs; by default in this process.

    Raises
    ------
    UsageError
        If model and data are not of one task, or thresholds are of unknown labels.
    DataError
        If the cache has other classes than the model, another front-end, or no track in ``part``.
    """
    opened = open_model(model)
    is_mapped = taxonomy is not None and opened.task.kind == "single"
    task, tables = _with_taxonomy(opened, taxonomy), opened.tables
    cache = load_cache(features, tables)
    if taxonomy is not None and cache.task_kind == "single":
        cache = with_taxonomy(cache, taxonomy)
    _require_same(model, features, task, cache)
    tracks = np.arange(len(cache.names), dtype=np.int64) if part == ALL else cache.tracks_of(part)
    if not len(tracks):
        raise DataError(f"{features}: no tracks in part {part!r}: split the data set first")
    predict = opened.predict if workers is None else predictor_in_worker([model])
    run_each = map if workers is None else workers.map
    if thresholds is not None:
        task = read_thresholds(thresholds, task)
    elif is_mapped and len(valid := cache.tracks_of("valid")):
        fitted_on = score_tracks(predict, cache, valid, tables, task, run_each=run_each)
        task = fit_thresholds(task, fitted_on.probabilities, fitted_on.truth)
    scores = score_tracks(predict, cache, tracks, tables, task, run_each=run_each)
    measured = measure_multi_label if task.kind == "multi" else measure_hierarchy
    return TaskEvaluation(
        model=str(model),
        data=str(features),
        part=part,
        task=task,
        names=tuple(cache.names[track] for track in tracks),
        scores=scores,
        tracks=measured(task, scores.probabilities, scores.truth),
    )


def read_thresholds(path: Path, task: Task) -> Task:
    """Return a task with the thresholds of a JSON file, such as ``{"rock": 0.4}`` or ``{"level 1": 0.6}``.

    Parameters
    ----------
    path
        The file; what it does not name keeps the task's own threshold.
    task
        The task.

    Raises
    ------
    DataError
        No such file, or a threshold that is not from 0 to 1.
    UsageError
        A label or level that the task does not have.
    """
    try:
        document = parse_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the thresholds ({(error.strerror or str(error)).lower()})") from error
    except ValueError as error:
        raise DataError(f"{path}: the thresholds are not JSON in UTF-8") from error
    if not isinstance(document, dict) or not document:
        raise DataError(f'{path}: thresholds are one JSON object such as {{"rock": 0.4}}')
    try:
        return task.with_thresholds(document)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _with_taxonomy(opened: OpenModel, taxonomy: Path | None) -> Task:
    if taxonomy is None or opened.task.kind == "hierarchy":
        return opened.task
    if opened.task.kind == "multi":
        raise UsageError(f"{taxonomy}: a taxonomy is for a network that answers one label; this one knows several")
    paths = label_paths(opened.labels, read_taxonomy(taxonomy), taxonomy)
    try:
        return make_task("hierarchy", paths)
    except ValueError as error:
        raise DataError(f"{taxonomy}: {error}") from error


def _require_same(model: Path, features: Path, task: Task, cache: FeatureCache) -> None:
    if cache.task_kind != task.kind:
        raise UsageError(f"{features}: its labels are for a {cache.task_kind} task, and {model} is for {task.kind}")
    if set(cache.classes) != set(task.labels):
        raise DataError(
            f"{features}: has classes {', '.join(cache.classes)}, the model has {', '.join(sorted(task.labels))}"
        )
    if task.kind == "multi" and cache.classes != task.labels:
        raise DataError(f"{features}: its classes are in another order than the model's: build the cache again")
