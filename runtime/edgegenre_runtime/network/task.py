"""The task of a network: what its outputs mean, and which labels an answer has.

``single``
    One label of several: a softmax, and the most probable class.
``multi``
    Every label for itself: a sigmoid each, and all labels that reach their thresholds.
``hierarchy``
    Leaves of a tree of label paths (:mod:`.taxonomy`): a softmax over the leaves, summed upward; the answer goes down
    from the top as far as each level reaches its threshold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.sound_gate import UNCERTAIN

from .quantization import softmax
from .taxonomy import Taxonomy, build_taxonomy, split_path

__all__ = [
    "DEFAULT_THRESHOLD",
    "ONE_LABEL",
    "Answer",
    "Task",
    "TaskKind",
    "answer_text",
    "check_thresholds",
    "make_task",
    "task_from_dict",
]

TaskKind = Literal["single", "multi", "hierarchy"]

DEFAULT_THRESHOLD = 0.5
"""Of a label or level for which none was fitted."""

_LARGEST = np.float32(1 - 2**-24)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The labels of an answer.

    Attributes
    ----------
    label
        All of it as manifests write it: ``rock``, ``blues;rock`` or ``rock/punk``; or ``uncertain``.
    labels
        The most probable label first, or the nodes from the top level down; empty where the answer is no genre, None
        where the network knows one label at a time.
    """

    label: str
    labels: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What the outputs of a network mean.

    Attributes
    ----------
    kind
        Which of the three.
    labels
        Class names, or label paths of the leaves, in the order of the outputs.
    thresholds
        0 to 1: by label (multi), or by ``level 1``, ``level 2`` … (hierarchy); empty for a single label.
    taxonomy
        The tree; None but for a hierarchy.
    """

    kind: TaskKind
    labels: tuple[str, ...]
    thresholds: Mapping[str, float]
    taxonomy: Taxonomy | None = dataclasses.field(default=None, compare=False)  # follows from the labels

    @property
    def names(self) -> tuple[str, ...]:
        """What has a probability in an answer: every class, or every node of the tree."""
        return self.labels if self.taxonomy is None else self.taxonomy.nodes

    def probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the classes' probabilities, float32 [..., C], of logits float32 [..., C]."""
        if self.kind == "multi":
            half: npt.NDArray[np.float32] = np.tanh(logits / 2) / 2 + np.float32(0.5)
            return half.astype(np.float32)
        return softmax(logits)

    def logits(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return logits of these probabilities, up to a constant for a softmax; 0 and 1 become large finite ones."""
        p = np.clip(probabilities, np.float32(1e-30), _LARGEST if self.kind == "multi" else None)
        logits: npt.NDArray[np.float32] = np.log(p) - (np.log1p(-p) if self.kind == "multi" else np.float32(0))
        return logits.astype(np.float32)

    def named(self, probabilities: npt.NDArray[np.floating]) -> dict[str, float]:
        """Return the probability of each of :attr:`names`, of the classes' float [C]."""
        values = probabilities if self.taxonomy is None else self.taxonomy.node_probabilities(probabilities)
        return dict(zip(self.names, values.tolist(), strict=True))

    def answer(self, named: Mapping[str, float]) -> Answer:
        """Return the answer to the probabilities of all :attr:`names`."""
        if self.kind == "single":
            return Answer(max(named, key=lambda label: named[label]))
        if self.taxonomy is not None:
            path = self.taxonomy.descend([named[node] for node in self.taxonomy.nodes], self.level_thresholds())
            labels = tuple(self.taxonomy.nodes[node] for node in path)
            return Answer(labels[-1], labels) if labels else self.no_genre(UNCERTAIN)
        above = sorted((lb for lb in self.labels if named[lb] >= self.thresholds[lb]), key=lambda lb: -named[lb])
        return Answer(";".join(above), tuple(above)) if above else self.no_genre(UNCERTAIN)

    def no_genre(self, label: str) -> Answer:
        """Return ``silence``, ``noise`` or ``uncertain`` as an answer."""
        return Answer(label, None if self.kind == "single" else ())

    def level_thresholds(self) -> list[float]:
        """Return the thresholds of a hierarchy from the top level down."""
        return list(self.thresholds.values())

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Task:
        """Return the task with some thresholds replaced; raises ValueError as :func:`check_thresholds`."""
        check_thresholds(self, thresholds)
        return dataclasses.replace(
            self, thresholds={n: float(thresholds.get(n, t)) for n, t in self.thresholds.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return ``task``, ``thresholds`` and, of a hierarchy, ``taxonomy`` for a manifest; nothing for one label."""
        if self.kind == "single":
            return {}
        tree = {} if self.taxonomy is None else {"taxonomy": self.taxonomy.to_dict()}
        return {"task": self.kind, "thresholds": dict(self.thresholds), **tree}


def make_task(kind: TaskKind, labels: Sequence[str], thresholds: Mapping[str, float] | None = None) -> Task:
    """Return a task.

    Parameters
    ----------
    kind, labels
        As in :class:`Task`.
    thresholds
        Some or all; the others are 0.5.

    Raises
    ------
    ValueError
        Labels that are no tree, or thresholds that are not allowed.
    """
    taxonomy = build_taxonomy(labels) if kind == "hierarchy" else None
    names: Sequence[str] = ()
    if taxonomy is not None:
        names = [f"level {level}" for level in range(1, taxonomy.n_levels + 1)]
    elif kind == "multi":
        names = labels
    return Task(kind, tuple(labels), dict.fromkeys(names, DEFAULT_THRESHOLD), taxonomy).with_thresholds(
        thresholds or {}
    )


def task_from_dict(values: Mapping[str, Any], labels: Sequence[str]) -> Task:
    """Return the task that :meth:`Task.to_dict` described; raises ValueError for what it never writes."""
    kind, thresholds = values.get("task", "single"), values.get("thresholds", {})
    if kind not in get_args(TaskKind):
        raise ValueError(f"task {kind!r} is unknown; there are: {', '.join(get_args(TaskKind))}")
    task = make_task(kind, labels)
    if not isinstance(thresholds, Mapping) or set(thresholds) != set(task.thresholds):
        raise ValueError(f"a {kind} task has one threshold for each of: {', '.join(task.thresholds) or 'none'}")
    tree = None if task.taxonomy is None else task.taxonomy.to_dict()
    if values.get("taxonomy", tree) != tree:
        raise ValueError("the taxonomy is not that of the labels")
    return task.with_thresholds(thresholds)


def check_thresholds(task: Task, thresholds: Mapping[str, Any]) -> None:
    """Raise ValueError for a threshold of something unknown, or one that is not a number from 0 to 1."""
    for name, value in thresholds.items():
        if name not in task.thresholds:
            known = ", ".join(task.thresholds) or "none, since each answer is one label"
            raise ValueError(f"the threshold of {name!r} is of nothing that the network knows; it has {known}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"the threshold of {name!r} is {value!r}; allowed are 0 to 1")


def answer_text(label: str, labels: tuple[str, ...] | None) -> str:
    """Return an answer for people: ``blues, rock`` or ``rock › punk``; label and labels as in :class:`Answer`."""
    if labels and labels[-1] == label:  # a path, or the only label of several that the network knows
        return " › ".join(split_path(label))
    return ", ".join(labels or ()) or label


ONE_LABEL = make_task("single", ())
"""The task of a network that knows one label at a time, whatever its labels are."""
