"""The evaluation report: text for the terminal, and one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgegenre_runtime.atomic_write import written_beside

from .metrics import Metrics
from .report_plots import classes_png, confusion_png, reliability_png
from .robustness import RobustnessRow
from .run import Comparison, Evaluation

__all__ = ["format_comparison", "format_evaluation", "format_robustness", "write_report"]

_ROBUSTNESS_HEADS = ("condition", "accuracy      ", "changed", "lost", "gained", "mean shift")
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
code { background: #f3f3f3; padding: .1em .3em; overflow-wrap: anywhere; }
.plots { display: flex; flex-wrap: wrap; gap: 1em; }
"""


def format_evaluation(evaluation: Evaluation) -> str:
    """Return the figures over tracks, per class, and the confusion matrix as text."""
    tracks, windows = evaluation.tracks, evaluation.windows
    low, high = tracks.accuracy_95
    lines = [
        f"{evaluation.part}: accuracy {tracks.accuracy:.4f} of {tracks.n} tracks "
        f"(95 % interval {low:.3f} to {high:.3f}), {windows.accuracy:.4f} of {windows.n} windows",
        f"weighted F1 {tracks.weighted_f1:.4f}, macro F1 {tracks.macro_f1:.4f}, "
        f"ECE {tracks.calibration.ece:.4f} (tracks), {windows.calibration.ece:.4f} (windows)",
    ]
    if evaluation.dropped:
        lines.append(f"{evaluation.dropped} tracks left out: the label map has no class for them")
    width = max(5, *(len(label) for label in evaluation.labels))
    lines += ["", f"{'class':{width}}  precision  recall      F1  support"]
    lines += [
        f"{row.label:{width}}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:6.3f}  {row.support:7d}"
        for row in tracks.classes
    ]
    heads = [label[:5] for label in evaluation.labels]
    lines += ["", f"{'truth':{width}}  " + " ".join(f"{head:>5}" for head in heads)]
    for label, row in zip(evaluation.labels, tracks.confusion, strict=True):
        lines.append(f"{label:{width}}  " + " ".join(f"{n or '.':>5}" for n in row.tolist()))
    return "\n".join(lines)


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
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>Measured by <code>{html.escape(command)}</code></p>"]
    body += [*_figures(evaluation), *_plots(evaluation)]
    if other is not None:
        body += _against(evaluation, *other)
    for what, rows in (robustness or {}).items():
        body += [f"<h2>Robustness: {html.escape(what)}</h2>", _table(_ROBUSTNESS_HEADS, _robustness_cells(rows))]
    body += _mistakes(evaluation)
    document = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n"
        "</body></html>\n"
    )
    with written_beside(path) as handle:
        handle.write(document.encode("utf-8", "backslashreplace"))


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


def _figures(evaluation: Evaluation) -> list[str]:
    def row(what: str, m: Metrics) -> tuple[Any, ...]:
        interval = f"{m.accuracy_95[0]:.3f} to {m.accuracy_95[1]:.3f}" if what == "tracks" else "—"
        return what, m.n, f"{m.accuracy:.4f}", interval, f"{m.weighted_f1:.4f}", f"{m.calibration.ece:.4f}"

    tracks = evaluation.tracks
    heads = ("over", "n", "accuracy", "95 % interval (Wilson)", "weighted F1", "ECE")
    dropped = f"<p>{evaluation.dropped} tracks left out: the label map has no class for them.</p>"
    return [
        _table(heads, [row("tracks", tracks), row("windows", evaluation.windows)]),
        *([dropped] if evaluation.dropped else []),
        "<p>Windows of one track depend on each other, so only tracks have an interval.</p>",
        "<h2>Per class, tracks</h2>",
        _table(
            ("class", "precision", "recall", "F1", "support"),
            [(c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", c.support) for c in tracks.classes],
        ),
        "<h2>Confusion, tracks (row: truth, column: answer)</h2>",
        _table(
            ("", *evaluation.labels),
            [(label, *n.tolist()) for label, n in zip(evaluation.labels, tracks.confusion, strict=True)],
        ),
    ]


def _plots(evaluation: Evaluation) -> list[str]:
    tracks, labels = evaluation.tracks, evaluation.labels
    return [
        '<div class="plots">',
        _image(confusion_png(tracks.confusion, labels), "Confusion matrix, tracks"),
        _image(classes_png(tracks.classes), "Precision, recall and F1 of each class"),
        _image(reliability_png(tracks.calibration, "tracks"), "Reliability, tracks"),
        _image(reliability_png(evaluation.windows.calibration, "windows"), "Reliability, windows"),
        "</div>",
    ]


def _against(a: Evaluation, b: Evaluation, comparison: Comparison) -> list[str]:
    figures = [(e.model, f"{e.tracks.accuracy:.4f}", f"{e.tracks.weighted_f1:.4f}") for e in (a, b)]
    return [
        "<h2>Two models on the same tracks</h2>",
        _table(("model", "accuracy", "weighted F1"), figures),
        f"<p>{len(comparison.changed)} clips changed; {comparison.only_a_right} right only with the first, "
        f"{comparison.only_b_right} only with the second; McNemar's exact test, two-sided: "
        f"p = {comparison.p_value:.3g}.</p>",
        _table(
            ("clip", "truth", "first", "second"),
            [(c.name, c.truth, c.answer_a, c.answer_b) for c in comparison.changed],
        ),
    ]


def _mistakes(evaluation: Evaluation) -> list[str]:
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
    return [f"<h2>{len(rows)} tracks answered wrongly, the surest first</h2>", _table(heads, rows)]


def _image(png: bytes, text: str) -> str:
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def cells(tag: str, values: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values) + "</tr>"

    return "<table>\n" + "\n".join([cells("th", heads), *(cells("td", row) for row in rows)]) + "\n</table>"
