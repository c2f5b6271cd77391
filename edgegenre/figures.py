"""Matplotlib's figures as PNG, the same bytes for the same figure, without its warnings about missing glyphs."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from edgegenre_runtime.atomic_write import written_beside

__all__ = ["figure_png", "write_png"]


def figure_png(figure: Any, dpi: int = 100) -> bytes:
    """Return a figure as the bytes of a PNG file.

    Parameters
    ----------
    figure
        A ``matplotlib.figure.Figure``. Text in it from outside, such as a file's name, goes through
        :func:`edgegenre_runtime.printable.printable` first: fonts know no bytes that are not UTF-8.
    dpi
        Pixels per inch.
    """
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # a script that the font lacks
        figure.savefig(png, dpi=dpi, format="png", metadata={"Software": None})
    return png.getvalue()


def write_png(figure: Any, path: Path, dpi: int = 110) -> None:
    """Write a figure as PNG, whole or not at all; raises :class:`DataError` if that fails."""
    content = figure_png(figure, dpi)
    with written_beside(path) as handle:
        handle.write(content)
