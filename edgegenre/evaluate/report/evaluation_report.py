"""The evaluation report: text for the terminal, and one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgegenre.page import Block, Image, ImageRow, Table, Text, Title, escape_marks, to_html
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.printable import aligned, n_columns

from ..metrics.single_label import ECE_BINS, Metrics
from ..robustness import RobustnessRow
from ..run import Comparison, Evaluation
from .plots import classes_png, confusion_png, reliability_png

__all__ = ["format_comparison", "format_evaluation", "format_robustness", "table", "write_report"]

_ROBUSTNESS_HEADS = ("condition", "accuracy      ", "changed", "lost", "gained", "mean shift")


def format_evaluation(evaluation: Evaluation) -> str:
    """Return the figures over tracks, per class, and the confusion matrix as text."""
    tracks, windows = evaluation.tracks, evaluation.windows
    low, high = tracks.accuracy_95
    lines = [
        f"{evaluation.part}: accuracy {tracks.accuracy:.4f} of {tracks.n} tracks "
        f"(95 % interval {low:.3f} to {high:.3f}), {windows.accuracy:.4f} of {windows.n} windows",
        f"weighted F1 {tracks.weighted_f1:.4f}, macro F1 {tracks.macro_f1:.4f}, "
        f"ECE of {ECE_BINS} bins {tracks.calibration.ece:.4f} (tracks), {windows.calibration.ece:.4f} (windows), "
        f"{evaluation.answers.ece:.4f} (smoothed over 5 s)",
    ]
    if evaluation.dropped:
        lines.append(f"{evaluation.dropped} tracks left out: the label map has no class for them")
    width = max(5, *map(n_columns, evaluation.labels))
    lines += ["", f"{'class':{width}}  precision  recall      F1  support"]
    lines += [
        f"{aligned(row.label, width)}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:6.3f}  {row.support:7d}"
        for row in tracks.classes
    ]
    heads = [aligned(_beginning(label, 5), 5, right=True) for label in evaluation.labels]
    lines += ["", f"{'truth':{width}}  " + " ".join(heads)]
    for label, row in zip(evaluation.labels, tracks.confusion, strict=True):
        lines.append(f"{aligned(label, width)}  " + " ".join(f"{n or '.':>5}" for n in row.tolist()))
    return "\n".join(lines)


def _beginning(text: str, width: int) -> str:
    """Return the characters of a text that fit into ``width`` columns."""
    return next(text[:n] for n in range(width, -1, -1) if n_columns(text[:n]) <= width)


def format_comparison(a: Evaluation, b: Evaluation, comparison: Comparison) -> str:
    """Return the paired comparison of two models as text."""
    lines = [
        f"against {b.model}: accuracy {b.tracks.accuracy:.4f}; {len(comparison.changed)} of {a.tracks.n} clips "
        f"changed, {comparison.only_a_right} right only here, {comparison.only_b_right} only there, "
        f"McNemar's exact p = {comparison.p_value:.3g}"
    ]
    lines += [f"  {c.name}: {c.truth}; here {c.answer_a}, there {c.answer_b}" for c in comparison.changed]
    return "\n".join(lines)


def format_robustness(what: str, rows: Sequence[RobustnessRow]) -> str:
    """Return the table of :mod:`.robustness` as text."""
    cells = _robustness_cells(rows)
    width = max(len(row[0]) for row in cells)
    head = f"{'robustness':{width}}  " + "  ".join(_ROBUSTNESS_HEADS[1:])
    lines = [
        f"{row[0]:{width}}  " + "  ".join(f"{v:>{len(h)}}" for v, h in zip(row[1:], _ROBUSTNESS_HEADS[1:], strict=True))
        for row in cells
    ]
    return "\n".join([what, head, *lines])


def write_report(
    path: Path,
    evaluation: Evaluation,
    command: str,
    other: tuple[Evaluation, Comparison] | None = None,
    robustness: Mapping[str, Sequence[RobustnessRow]] | None = None,
) -> None:
    """Write one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    path
        The file to write.
    evaluation
        What to show.
    command
        The command that measured it.
    other
        A second model on the same tracks and its comparison.
    robustness
        What was changed (a sentence) to its rows.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    title = f"{Path(evaluation.model).name} on {Path(evaluation.data).name}, {evaluation.part}"
    blocks: list[Block] = [Title(1, escape_marks(title)), Text(f"Measured by `{command}`")]
    blocks += [*_figures(evaluation), _plots(evaluation)]
    if other is not None:
        blocks += _against(evaluation, *other)
    for what, rows in (robustness or {}).items():
        blocks += [Title(2, escape_marks(f"Robustness: {what}")), table(_ROBUSTNESS_HEADS, _robustness_cells(rows))]
    blocks += _mistakes(evaluation)
    with written_beside(path) as handle:
        handle.write(to_html(title, blocks).encode("utf-8", "backslashreplace"))


def _robustness_cells(rows: Sequence[RobustnessRow]) -> list[tuple[str, ...]]:
    return [
        (
            row.condition,
            f"{row.accuracy:.4f} of {row.n_tracks}",
            str(row.n_changed),
            str(row.only_clean_right),
            str(row.only_here_right),
            f"{row.mean_shift:.3f}",
        )
        for row in rows
    ]


def _figures(evaluation: Evaluation) -> list[Block]:
    def row(what: str, m: Metrics) -> tuple[Any, ...]:
        interval = f"{m.accuracy_95[0]:.3f} to {m.accuracy_95[1]:.3f}" if what == "tracks" else "—"
        return what, m.n, f"{m.accuracy:.4f}", interval, f"{m.weighted_f1:.4f}", f"{m.calibration.ece:.4f}"

    tracks = evaluation.tracks
    heads = ("over", "n", "accuracy", "95 % interval (Wilson)", "weighted F1", "ECE")
    dropped = Text(f"{evaluation.dropped} tracks left out: the label map has no class for them.")
    return [
        table(heads, [row("tracks", tracks), row("windows", evaluation.windows)]),
        *([dropped] if evaluation.dropped else []),
        Text("Windows of one track depend on each other, so only tracks have an interval."),
        Title(2, "Per class, tracks"),
        table(
            ("class", "precision", "recall", "F1", "support"),
            [(c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", c.support) for c in tracks.classes],
        ),
        Title(2, "Confusion, tracks (row: truth, column: answer)"),
        table(
            ("", *evaluation.labels),
            [(label, *n.tolist()) for label, n in zip(evaluation.labels, tracks.confusion, strict=True)],
        ),
    ]


def _plots(evaluation: Evaluation) -> ImageRow:
    tracks, labels = evaluation.tracks, evaluation.labels
    return ImageRow(
        [
            Image("Confusion matrix, tracks", confusion_png(tracks.confusion, labels)),
            Image("Precision, recall and F1 of each class", classes_png(tracks.classes)),
            Image("Reliability, tracks", reliability_png(tracks.calibration, "tracks")),
            Image("Reliability, windows", reliability_png(evaluation.windows.calibration, "windows")),
        ]
    )


def _against(a: Evaluation, b: Evaluation, comparison: Comparison) -> list[Block]:
    figures = [(e.model, f"{e.tracks.accuracy:.4f}", f"{e.tracks.weighted_f1:.4f}") for e in (a, b)]
    return [
        Title(2, "Two models on the same tracks"),
        table(("model", "accuracy", "weighted F1"), figures),
        Text(
            f"{len(comparison.changed)} clips changed; {comparison.only_a_right} right only with the first, "
            f"{comparison.only_b_right} only with the second; McNemar's exact test, two-sided: "
            f"p = {comparison.p_value:.3g}."
        ),
        table(
            ("clip", "truth", "first", "second"),
            [(c.name, c.truth, c.answer_a, c.answer_b) for c in comparison.changed],
        ),
    ]


def _mistakes(evaluation: Evaluation) -> list[Block]:
    """List the tracks answered wrongly, the surest first."""
    scores = evaluation.scores
    answers, sureness = scores.probabilities.argmax(axis=1), scores.probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != scores.truth)
    rows = [
        (
            evaluation.names[i],
            evaluation.labels[scores.truth[i]],
            evaluation.labels[answers[i]],
            f"{sureness[i]:.3f}",
            f"{scores.probabilities[i, scores.truth[i]]:.3f}",
        )
        for i in wrong[np.argsort(-sureness[wrong], kind="stable")]
    ]
    heads = ("clip", "truth", "answer", "its probability", "the truth's")
    return [Title(2, f"{len(rows)} tracks answered wrongly, the surest first"), table(heads, rows)]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table whose cells are shown literally: names come from outside."""

    def literal(cells: Sequence[Any]) -> list[str]:
        return [escape_marks(str(cell)) for cell in cells]

    return Table(literal(heads), [literal(row) for row in rows], numeric=True)
