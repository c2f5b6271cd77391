"""Two small plots as inline SVG, without a plotting library: bars with a mark, and lines on logarithmic axes."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

__all__ = ["bars", "lines"]

_COLOURS = ("#1f6fb2", "#d1603d", "#3a8a4d", "#8a5fb0")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 260, 70, 40, 30


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _svg(height: float, title: str, body: Sequence[str]) -> str:
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img"'
    start += ' font-family="sans-serif" font-size="12"'
    return "\n".join([f'{start} aria-label="{html.escape(title)}">', _text(_WIDTH / 2, 18, title), *body, "</svg>"])


def bars(title: str, rows: Sequence[tuple[str, float, float]], unit: str) -> str:
    """Return horizontal bars.

    Parameters
    ----------
    title
        What stands above.
    rows
        Name, length of the bar, and a thin mark behind it (p99 for instance), both at least 0.
    unit
        Of the numbers.
    """
    largest = max((max(value, mark) for _, value, mark in rows), default=0.0) or 1.0
    left, step, body = 190, 24, []
    for index, (name, value, mark) in enumerate(rows):
        y = _TOP + index * step
        room = (_WIDTH - left - 90) / largest
        body.append(_text(left - 8, y + 15, name, "end"))
        body.append(
            f'<rect x="{left}" y="{y + 3}" width="{value * room:.1f}" height="{step - 8}" fill="{_COLOURS[0]}"/>'
        )
        body.append(f'<rect x="{left + mark * room:.1f}" y="{y}" width="2" height="{step - 2}" fill="{_COLOURS[1]}"/>')
        body.append(_text(left + max(value, mark) * room + 8, y + 15, f"{value:.3g} {unit}", "start"))
    return _svg(_TOP + len(rows) * step + 10, title, body)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Return lines with points on two logarithmic axes.

    Parameters
    ----------
    title, x_label, y_label
        What stands above, below and beside.
    series
        Name to points (x, y), all above 0.
    """
    points = [point for row in series.values() for point in row]
    xs, ys = ([point[axis] for point in points] or [1.0] for axis in (0, 1))
    spans = [_span(values) for values in (xs, ys)]

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(x) - spans[0][0]) / (spans[0][1] - spans[0][0])
        up = (math.log10(y) - spans[1][0]) / (spans[1][1] - spans[1][0])
        return _LEFT + along * (_WIDTH - _LEFT - 20), _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP)

    body = [_text(_WIDTH / 2, _HEIGHT - 4, x_label), _text(4, _TOP - 2, y_label, "start")]
    for power in range(spans[0][0], spans[0][1] + 1):
        x, y = place(10.0**power, 10.0 ** spans[1][0])
        body += [_tick(x, _TOP, x, y), _text(x, y + 16, f"{10.0**power:g}")]
    for power in range(spans[1][0], spans[1][1] + 1):
        x, y = place(10.0 ** spans[0][0], 10.0**power)
        body += [_tick(x, y, _WIDTH - 20, y), _text(x - 6, y + 4, f"{10.0**power:g}", "end")]
    for index, (name, row) in enumerate(series.items()):
        color, placed = _COLOURS[index % len(_COLOURS)], [place(*point) for point in row]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        body.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in placed]
        body.append(f'<g fill="{color}">{_text(_LEFT + 10, _TOP + 14 + 16 * index, name, "start")}</g>')
    return _svg(_HEIGHT, title, body)


def _tick(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _span(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around values; they differ."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
