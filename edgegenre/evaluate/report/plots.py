"""The report's plots as PNG bytes: confusion matrix, figures of each class, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.figures import figure_png

from ..metrics.single_label import Calibration, ClassScore

__all__ = ["classes_png", "confusion_png", "reliability_png"]


def confusion_png(confusion: npt.NDArray[np.int64], labels: Sequence[str]) -> bytes:
    """Draw a confusion matrix, int64 [n, n] with the truth in rows, colored by share of its row."""
    size_inch = 2.2 + 0.42 * len(labels)
    figure, axes = _figure(size_inch, size_inch)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            color = "white" if share[row, column] > 0.55 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=60, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, labels, parse_math=False)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    return figure_png(figure)


def classes_png(classes: Sequence[ClassScore]) -> bytes:
    """Draw precision, recall and F1 of each class as bars."""
    figure, axes = _figure(6.5, 1.2 + 0.42 * len(classes))
    at = np.arange(len(classes))
    for shift, name in zip((-0.27, 0.0, 0.27), ("precision", "recall", "f1"), strict=True):
        axes.barh(at + shift, [getattr(row, name) for row in classes], height=0.25, label=name)
    axes.set_yticks(at, [f"{row.label} ({row.support})" for row in classes], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return figure_png(figure)


def reliability_png(calibration: Calibration, over: str) -> bytes:
    """Draw accuracy against confidence; a bin's dot is as large as its share of ``over`` (tracks or windows)."""
    figure, axes = _figure(4.5, 4.5)
    used = calibration.counts > 0
    share = calibration.counts[used] / calibration.counts.sum()
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.plot(calibration.confidence[used], calibration.accuracy[used], color="C0", linewidth=1)
    axes.scatter(calibration.confidence[used], calibration.accuracy[used], s=20 + 600 * share, alpha=0.6)
    axes.set(xlim=(0, 1), ylim=(-0.03, 1.03), xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"{over}: ECE {calibration.ece:.3f}, {len(calibration.counts)} bins")
    return figure_png(figure)


def _figure(width_inch: float, height_inch: float) -> tuple[Any, Any]:
    """Return a figure and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    return figure, figure.subplots()
