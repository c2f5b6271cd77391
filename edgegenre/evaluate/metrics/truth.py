"""What is right: answers against truths, for each kind of task.

A truth is an int64 index of a class (single) or of a node of the taxonomy (hierarchy), or bool [C] (multi-label).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.network.task import Task
from edgegenre_runtime.network.taxonomy import Taxonomy, ancestors

from .single_label import uncertain_below

__all__ = [
    "answer_names",
    "fit_thresholds",
    "full_paths",
    "is_right",
    "losses",
    "path_at",
    "require_taxonomy",
    "threshold_row",
    "truth_names",
]

_Floats = npt.NDArray[np.float32]


def threshold_row(task: Task) -> npt.NDArray[np.float64]:
    """Return the thresholds of a multi-label task in the order of its labels, float64 [C]."""
    return np.array([task.thresholds[label] for label in task.labels])


def require_taxonomy(task: Task) -> Taxonomy:
    """Return the taxonomy of a hierarchical task."""
    if task.taxonomy is None:
        raise UsageError(f"the network's task is {task.kind}, which has no taxonomy")
    return task.taxonomy


def full_paths(task: Task, probabilities: _Floats) -> list[tuple[int, ...]]:
    """Return the nodes from the top level down to a leaf that float [n, C] answer, thresholds left aside."""
    taxonomy = require_taxonomy(task)
    return [taxonomy.descend(row) for row in taxonomy.node_probabilities(probabilities)]


def path_at(taxonomy: Taxonomy, node: int) -> tuple[int, ...]:
    """Return the nodes from the top level down to a node."""
    return tuple(taxonomy.nodes.index(name) for name in ancestors(taxonomy.nodes[node]))


def answer_names(task: Task, probabilities: _Floats) -> list[str]:
    """Return each row's answer as text; of a hierarchy down to a leaf, of no label at all ``none``."""
    if task.taxonomy is not None:
        return [task.taxonomy.nodes[path[-1]] for path in full_paths(task, probabilities)]
    if task.kind == "multi":
        return truth_names(task, probabilities >= threshold_row(task))
    return [task.labels[i] for i in probabilities.argmax(axis=1)]


def truth_names(task: Task, truth: npt.NDArray[Any]) -> list[str]:
    """Return truths as text."""
    if task.kind == "multi":
        return [";".join(np.array(task.labels)[row].tolist()) or "none" for row in truth]
    return [task.names[i] for i in truth]


def is_right(task: Task, probabilities: _Floats, truth: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each row's answer is right, bool [n].

    Several labels: exactly the labels of the truth. Hierarchy: the answer down to a leaf is at or below the truth.
    """
    if task.kind == "multi":
        return np.asarray(((probabilities >= threshold_row(task)) == truth).all(axis=1))
    if task.kind == "hierarchy":
        paths = full_paths(task, probabilities)
        return np.array([node in path for node, path in zip(truth.tolist(), paths, strict=True)], np.bool_)
    return np.asarray(probabilities.argmax(axis=1) == truth)


def losses(task: Task, probabilities: _Floats, truth: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the negative log-likelihood of each row in nats, float64 [n]; of several labels, their mean."""
    p = probabilities.astype(np.float64)
    if task.kind == "multi":
        right = np.where(truth, p, 1 - p)
        return np.asarray(-np.log(np.maximum(right, 1e-12)).mean(axis=1))
    if task.taxonomy is not None:
        p = task.taxonomy.node_probabilities(p).astype(np.float64)
    return np.asarray(-np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-12)))


def fit_thresholds(task: Task, probabilities: _Floats, truth: npt.NDArray[Any]) -> Task:
    """Return the task with thresholds that fit some tracks, float [n, C] and their truths.

    Several labels: each class has the threshold of the largest F1, in the middle between the two probabilities beside
    it; a class without examples keeps its own. Hierarchy: each level has the threshold with the fewest errors of both
    kinds (:func:`.single_label.uncertain_below`), over the tracks whose truth reaches that level.
    """
    if task.taxonomy is not None:
        nodes, fitted = task.taxonomy.node_probabilities(probabilities), {}
        chains = [path_at(task.taxonomy, node) for node in truth.tolist()]
        for level, name in enumerate(task.thresholds, 1):
            columns = task.taxonomy.nodes_of_level(level)
            rows = [row for row, chain in enumerate(chains) if len(chain) >= level]
            if rows:
                level_truth = np.array([columns.index(chains[row][level - 1]) for row in rows], np.int64)
                fitted[name] = uncertain_below([(nodes[np.ix_(rows, columns)], level_truth)])
        return task.with_thresholds({name: round(value, 4) for name, value in fitted.items()})
    if task.kind == "multi":
        by_label = zip(task.labels, probabilities.T, truth.T, strict=True)
        return task.with_thresholds({label: _best_f1(p, is_in) for label, p, is_in in by_label if is_in.any()})
    return task


def _best_f1(probabilities: npt.NDArray[np.float32], is_in: npt.NDArray[np.bool_]) -> float:
    """Return the threshold of the largest F1, of several equal ones the highest."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order].astype(np.float64)
    hits = np.cumsum(is_in[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + is_in.sum())
    is_cut = np.append(ranked[:-1] > ranked[1:], True)  # equal probabilities are on one side
    best = int(np.where(is_cut, f1, -1.0).argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return round(float((ranked[best] + below) / 2), 4)
