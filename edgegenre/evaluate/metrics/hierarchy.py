"""Figures of a hierarchy: accuracy at every level, hierarchical F1, and how far down the answers go."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.task import Task

from .single_label import ClassScore
from .truth import full_paths, is_right, path_at, require_taxonomy
from .wilson import wilson_interval

__all__ = ["HierarchyMetrics", "LevelScore", "measure_hierarchy"]

_Paths = Sequence[tuple[int, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class LevelScore:
    """The answers at one level.

    Attributes
    ----------
    level
        1 for the top.
    n, accuracy, accuracy_95
        Tracks whose truth reaches the level, the fraction of them whose answer down to a leaf is right there, and its
        95 % interval (Wilson).
    threshold
        Probability from which on the device goes down to this level.
    answered, answered_right
        Fraction of those tracks that the device answers at this level, and of these the fraction that is right.
    """

    level: int
    n: int
    accuracy: float
    accuracy_95: tuple[float, float]
    threshold: float
    answered: float
    answered_right: float


@dataclasses.dataclass(frozen=True, slots=True)
class HierarchyMetrics:
    """All figures over ``n`` tracks.

    Attributes
    ----------
    n, accuracy
        Tracks, and the fraction whose answer down to a leaf is at or below the truth.
    hierarchical_f1
        Of answers down to a leaf (Kiritchenko et al. 2005): answers and truths are the sets of nodes from the top
        down, and precision and recall count the nodes that both have. What an answer says below the level of the
        truth cannot be judged, and does not count.
    device_f1
        The same for the device's answers, which stop at the level that is sure.
    levels
        Per level.
    nodes
        Precision, recall and F1 of every node, of answers down to a leaf.
    """

    n: int
    accuracy: float
    hierarchical_f1: float
    device_f1: float
    levels: tuple[LevelScore, ...]
    nodes: tuple[ClassScore, ...]

    def summary(self) -> dict[str, Any]:
        """Return the main figures as JSON-ready keys and values."""
        return {
            "levels": [dataclasses.asdict(level) for level in self.levels],
            "hierarchical_f1": round(self.hierarchical_f1, 4),
            "device_f1": round(self.device_f1, 4),
        }


def measure_hierarchy(
    task: Task, probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> HierarchyMetrics:
    """Return all figures of the leaves' probabilities float32 [n, C], n at least 1, against nodes int64 [n]."""
    taxonomy = require_taxonomy(task)
    truths = [path_at(taxonomy, node) for node in truth.tolist()]
    full = full_paths(task, probabilities)
    nodes, thresholds = taxonomy.node_probabilities(probabilities), task.level_thresholds()
    device = [taxonomy.descend(row, thresholds) for row in nodes]
    return HierarchyMetrics(
        n=len(truths),
        accuracy=float(is_right(task, probabilities, truth).mean()),
        hierarchical_f1=_f1(full, truths),
        device_f1=_f1(device, truths),
        levels=tuple(
            _level(level, thresholds[level - 1], full, device, truths) for level in range(1, taxonomy.n_levels + 1)
        ),
        nodes=_nodes(taxonomy.nodes, full, truths),
    )


def _level(level: int, threshold: float, full: _Paths, device: _Paths, truths: _Paths) -> LevelScore:
    at = level - 1
    rows = [i for i, path in enumerate(truths) if len(path) >= level]
    hits = sum(len(full[i]) >= level and full[i][at] == truths[i][at] for i in rows)
    answered = [i for i in rows if len(device[i]) >= level]
    right = sum(device[i][at] == truths[i][at] for i in answered)
    n = max(len(rows), 1)
    return LevelScore(
        level=level,
        n=len(rows),
        accuracy=hits / n,
        accuracy_95=wilson_interval(hits, n),
        threshold=threshold,
        answered=len(answered) / n,
        answered_right=right / max(len(answered), 1),
    )


def _f1(answers: _Paths, truths: _Paths) -> float:
    pairs = [(set(answer[: len(truth)]), set(truth)) for answer, truth in zip(answers, truths, strict=True)]
    common = sum(len(answer & truth) for answer, truth in pairs)
    total = sum(len(answer) + len(truth) for answer, truth in pairs)
    return 2 * common / total


def _nodes(names: tuple[str, ...], answers: _Paths, truths: _Paths) -> tuple[ClassScore, ...]:
    """Return the figures of every node; an answer below the level of the truth does not count."""
    from sklearn.metrics import precision_recall_fscore_support

    is_true, is_answered = (np.zeros((len(truths), len(names)), np.int8) for _ in range(2))
    for row, (answer, truth) in enumerate(zip(answers, truths, strict=True)):
        is_true[row, list(truth)] = 1
        is_answered[row, list(answer[: len(truth)])] = 1
    columns = precision_recall_fscore_support(is_true, is_answered, zero_division=0)
    return tuple(
        ClassScore(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(names, *columns, strict=True)
    )
