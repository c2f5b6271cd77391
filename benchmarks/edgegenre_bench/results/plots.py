"""The plots of a result's page as PNG bytes: time of the stages, and growth on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgegenre.figures import figure_png

__all__ = ["growth_png", "stages_png"]

_DPI = 110


def stages_png(rows: Sequence[tuple[str, float, float]]) -> bytes:
    """Draw horizontal bars with a mark behind each.

    Parameters
    ----------
    rows
        Name, p50 and p99 of each stage, in ms.
    """
    figure, axes = _figure(0.8 + 0.3 * len(rows))
    names = [name for name, _, _ in rows]
    axes.barh(names, [p50 for _, p50, _ in rows], color="C0", label="p50")
    axes.scatter([p99 for _, _, p99 in rows], names, color="C1", marker="|", s=120, label="p99")
    axes.invert_yaxis()
    axes.set(xlabel="ms", xlim=(0, None))
    axes.legend(frameon=False)
    return figure_png(figure, _DPI)


def growth_png(series: Mapping[str, Sequence[tuple[float, float]]], x_label: str) -> bytes:
    """Draw lines with points.

    Parameters
    ----------
    series
        Name to points (x, y), all above 0.
    x_label
        What stands below.
    """
    figure, axes = _figure(3.0)
    for name, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel=x_label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure_png(figure, _DPI)


def _figure(height_inch: float) -> tuple[Any, Any]:
    """Return a figure and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, height_inch), layout="constrained")
    return figure, figure.subplots()
