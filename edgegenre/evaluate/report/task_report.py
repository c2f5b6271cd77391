"""The evaluation of multi-label and hierarchical models as text, and as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgegenre.page import Block, Image, ImageRow, Text, Title, escape_marks, to_html
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.network.taxonomy import split_path
from edgegenre_runtime.printable import aligned, n_columns

from ..metrics.hierarchy import HierarchyMetrics
from ..metrics.multi_label import MultiLabelMetrics
from ..metrics.single_label import ClassScore
from ..metrics.truth import answer_names, is_right, truth_names
from ..task_run import TaskEvaluation
from .evaluation_report import table
from .plots import classes_png

__all__ = ["format_task_evaluation", "write_task_report"]

_Rows = list[tuple[Any, ...]]


def format_task_evaluation(evaluation: TaskEvaluation) -> str:
    """Return the figures over tracks, and those of every label or node, as text."""
    figures, *tables = _tables(evaluation)
    lines = [
        f"{evaluation.part}, {evaluation.tracks.n} tracks: " + ", ".join(f"{what} {value}" for what, value in figures)
    ]
    for heads, rows in tables:
        widths = [max(n_columns(str(cell)) for cell in column) for column in zip(heads, *rows, strict=True)]
        lines.append("")
        for cells in (heads, *rows):
            first, *others = (str(cell) for cell in cells)
            shown = [aligned(first, widths[0]), *(f"{cell:>{w}}" for cell, w in zip(others, widths[1:], strict=True))]
            lines.append("  ".join(shown))
    return "\n".join(lines)


def write_task_report(path: Path, evaluation: TaskEvaluation, command: str) -> None:
    """Write one self-contained HTML file, whole or not at all; raises :class:`DataError` if it cannot be written."""
    title = f"{Path(evaluation.model).name} on {Path(evaluation.data).name}, {evaluation.part}"
    figures, *tables = _tables(evaluation)
    blocks: list[Block] = [Title(1, escape_marks(title)), Text(f"Measured by `{command}`")]
    blocks += [table(("over tracks", "value"), [("tracks", evaluation.tracks.n), *figures])]
    blocks += [table(heads, rows) for heads, rows in tables]
    blocks += [ImageRow([Image("Precision, recall and F1 of each", classes_png(_scores(evaluation.tracks)))])]
    blocks += _mistakes(evaluation)
    with written_beside(path) as handle:
        handle.write(to_html(title, blocks).encode("utf-8", "backslashreplace"))


def _tables(evaluation: TaskEvaluation) -> tuple[Any, ...]:
    """Return the main figures as pairs of name and value, then tables as heads and rows."""
    if isinstance(evaluation.tracks, MultiLabelMetrics):
        return _multi_label(evaluation.tracks)
    return _hierarchy(evaluation.tracks)


def _multi_label(m: MultiLabelMetrics) -> tuple[Any, ...]:
    figures = [
        ("mean average precision", f"{m.mean_average_precision:.4f}"),
        ("ROC-AUC macro", f"{m.macro_roc_auc:.4f}"),
        ("micro", f"{m.micro_roc_auc:.4f}"),
        ("F1 macro", f"{m.macro_f1:.4f}"),
        ("F1 micro", f"{m.micro_f1:.4f}"),
        ("all labels right", f"{m.exact:.4f}"),
        ("uncertain", f"{m.uncertain:.4f}"),
    ]
    heads = ("label", "threshold", "precision", "recall", "F1", "average precision", "ROC-AUC", "support")
    rows: _Rows = [
        (
            row.label,
            f"{row.threshold:.3f}",
            f"{row.precision:.3f}",
            f"{row.recall:.3f}",
            f"{row.f1:.3f}",
            "—" if row.average_precision is None else f"{row.average_precision:.3f}",
            "—" if row.roc_auc is None else f"{row.roc_auc:.3f}",
            row.support,
        )
        for row in m.labels
    ]
    return figures, (heads, rows)


def _hierarchy(m: HierarchyMetrics) -> tuple[Any, ...]:
    figures = [
        ("right down to the labeled level", f"{m.accuracy:.4f}"),
        ("hierarchical F1", f"{m.hierarchical_f1:.4f}"),
        ("of answers that stop at the sure level", f"{m.device_f1:.4f}"),
    ]
    levels: _Rows = [
        (
            f"level {row.level}",
            f"{row.accuracy:.4f}",
            "{:.3f} to {:.3f}".format(*row.accuracy_95),
            f"{row.threshold:.3f}",
            f"{row.answered:.3f}",
            f"{row.answered_right:.3f}",
            row.n,
        )
        for row in m.levels
    ]
    nodes: _Rows = [
        (" › ".join(split_path(row.label)), f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.support)
        for row in m.nodes
    ]
    heads = ("level", "accuracy", "95 % interval", "threshold", "answered", "of these right", "tracks")
    return figures, (heads, levels), (("node", "precision", "recall", "F1", "support"), nodes)


def _scores(metrics: MultiLabelMetrics | HierarchyMetrics) -> list[ClassScore]:
    if isinstance(metrics, HierarchyMetrics):
        return list(metrics.nodes)
    return [ClassScore(row.label, row.precision, row.recall, row.f1, row.support) for row in metrics.labels]


def _mistakes(evaluation: TaskEvaluation) -> list[Block]:
    """List the tracks whose answer is not right; of a hierarchy, whose answer down to a leaf is not."""
    task, scores = evaluation.task, evaluation.scores
    wrong = np.flatnonzero(~is_right(task, scores.probabilities, scores.truth))
    truths, answers = truth_names(task, scores.truth), answer_names(task, scores.probabilities)
    rows = [(evaluation.names[i], truths[i], answers[i]) for i in wrong]
    return [Title(2, f"{len(rows)} tracks answered wrongly"), table(("clip", "truth", "answer"), rows)]
