"""The plots of a result's page as PNG bytes: time of the stages, and growth on two logarithmic axes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["growth_png", "stages_png"]

_DPI = 110


def stages_png(rows: Sequence[tuple[str, float, float]]) -> bytes:
    """Draw horizontal bars with a mark behind each.

    Parameters
    ----------
    rows
        Name, p50 and p99 of each stage, in ms.
    """
    with _figure(0.8 + 0.3 * len(rows)) as (axes, png):
        names = [name for name, _, _ in rows]
        axes.barh(names, [p50 for _, p50, _ in rows], color="C0", label="p50")
        axes.scatter([p99 for _, _, p99 in rows], names, color="C1", marker="|", s=120, label="p99")
        axes.invert_yaxis()
        axes.set(xlabel="ms", xlim=(0, None))
        axes.legend(frameon=False)
    return png.getvalue()


def growth_png(series: Mapping[str, Sequence[tuple[float, float]]], x_label: str) -> bytes:
    """Draw lines with points.

    Parameters
    ----------
    series
        Name to points (x, y), all above 0.
    x_label
        What stands below.
    """
    with _figure(3.0) as (axes, png):
        for name, points in series.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
        axes.set(xscale="log", yscale="log", xlabel=x_label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return png.getvalue()


@contextlib.contextmanager
def _figure(height_inch: float) -> Iterator[tuple[Any, io.BytesIO]]:
    """Yield axes and the buffer that holds their PNG once the block is left."""
    from matplotlib.figure import Figure

    figure, png = Figure(figsize=(6.0, height_inch), layout="constrained"), io.BytesIO()
    yield figure.subplots(), png
    figure.savefig(png, dpi=_DPI, format="png", metadata={"Software": None})
