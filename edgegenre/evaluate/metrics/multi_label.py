"""Figures of networks that know several labels at a time, by scikit-learn, which is imported when it is used."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.task import Task

from .truth import threshold_row

__all__ = ["LabelScore", "MultiLabelMetrics", "mean_average_precision", "measure_multi_label"]

_Floats = npt.NDArray[np.float32]
_Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class LabelScore:
    """The figures of one label.

    Attributes
    ----------
    label, support
        Its name, and how many tracks have it.
    threshold
        Probability from which on it is answered.
    precision, recall, f1
        At the threshold; 0 where undefined.
    average_precision, roc_auc
        Over all thresholds; None where no track, or every track, has the label.
    """

    label: str
    support: int
    threshold: float
    precision: float
    recall: float
    f1: float
    average_precision: float | None
    roc_auc: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class MultiLabelMetrics:
    """All figures over ``n`` tracks.

    Attributes
    ----------
    n
        Tracks.
    exact
        Fraction whose set of labels is exactly right.
    mean_average_precision
        Mean over the labels that some but not all tracks have.
    macro_roc_auc, micro_roc_auc
        The same for the area under the ROC curve, and that of all decisions taken together.
    macro_f1, micro_f1
        At the thresholds: mean over the labels that occur, and of all decisions taken together.
    uncertain
        Fraction of the tracks for which no label reaches its threshold.
    labels
        Per label, in the network's order.
    """

    n: int
    exact: float
    mean_average_precision: float
    macro_roc_auc: float
    micro_roc_auc: float
    macro_f1: float
    micro_f1: float
    uncertain: float
    labels: tuple[LabelScore, ...]

    def summary(self) -> dict[str, Any]:
        """Return the main figures as JSON-ready keys and values."""
        keys = ("mean_average_precision", "macro_roc_auc", "micro_roc_auc", "macro_f1", "micro_f1", "uncertain")
        return {key: round(getattr(self, key), 4) for key in keys}


def measure_multi_label(task: Task, probabilities: _Floats, truth: _Bools) -> MultiLabelMetrics:
    """Return all figures of probabilities float32 [n, C], n at least 1, against truths bool [n, C]."""
    from sklearn.metrics import f1_score, roc_auc_score

    answers = probabilities >= threshold_row(task)
    rows = _per_label(task, probabilities, truth, answers)
    aucs = [row.roc_auc for row in rows if row.roc_auc is not None]
    has_both = truth.any() and not truth.all()
    return MultiLabelMetrics(
        n=len(truth),
        exact=float((answers == truth).all(axis=1).mean()),
        mean_average_precision=mean_average_precision(probabilities, truth),
        macro_roc_auc=float(np.mean(aucs)) if aucs else 0.0,
        micro_roc_auc=float(roc_auc_score(truth.ravel(), probabilities.ravel())) if has_both else 0.0,
        macro_f1=float(np.mean([row.f1 for row in rows if row.support] or [0.0])),
        micro_f1=float(f1_score(truth.ravel(), answers.ravel(), zero_division=0)),
        uncertain=float((~answers.any(axis=1)).mean()),
        labels=rows,
    )


def mean_average_precision(probabilities: _Floats, truth: _Bools) -> float:
    """Return the mean of the average precision of the labels that some but not all tracks have; 0 without any."""
    from sklearn.metrics import average_precision_score

    columns = [column for column in range(truth.shape[1]) if _varies(truth[:, column])]
    scores = [average_precision_score(truth[:, column], probabilities[:, column]) for column in columns]
    return float(np.mean(scores)) if scores else 0.0


def _per_label(task: Task, probabilities: _Floats, truth: _Bools, answers: _Bools) -> tuple[LabelScore, ...]:
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    columns = precision_recall_fscore_support(truth.astype(np.int8), answers.astype(np.int8), zero_division=0)
    rows = []
    for i, (label, precision, recall, f1, support) in enumerate(zip(task.labels, *columns, strict=True)):
        has_curve = _varies(truth[:, i])
        rows.append(
            LabelScore(
                label=label,
                support=int(support),
                threshold=task.thresholds[label],
                precision=float(precision),
                recall=float(recall),
                f1=float(f1),
                average_precision=(
                    float(average_precision_score(truth[:, i], probabilities[:, i])) if has_curve else None
                ),
                roc_auc=float(roc_auc_score(truth[:, i], probabilities[:, i])) if has_curve else None,
            )
        )
    return tuple(rows)


def _varies(column: _Bools) -> bool:
    return bool(column.any() and not column.all())
