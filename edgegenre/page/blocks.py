r"""The blocks of a page.

Text in a block knows two marks, ``**bold**`` and ```code```; a backslash before ``*``, a backtick or a backslash makes
it literal. :func:`escape_marks` does that for text from outside, such as names of files.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

__all__ = [
    "Bars",
    "Block",
    "Code",
    "Image",
    "ImageRow",
    "Items",
    "Point",
    "Scatter",
    "Table",
    "Text",
    "Title",
    "escape_marks",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Title:
    """A heading of level 1 to 3."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """A list of paragraphs."""

    items: Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table of cells; ``numeric`` aligns all columns but the first to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    numeric: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """Source code in a language, literally."""

    language: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """A picture as the bytes of its file, with the text that stands for it; Markdown shows the text alone."""

    text: str
    content: bytes
    media_type: str = "image/png"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRow:
    """Pictures side by side, as many as fit."""

    images: Sequence[Image]


@dataclasses.dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart: a name and a count for each bar, literal text; Markdown shows ``text`` alone."""

    text: str
    bars: Sequence[tuple[str, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A point of a :class:`Scatter`: ``x`` and ``y`` from 0 to 1, and literal text shown while it is pointed at."""

    x: float
    y: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Scatter:
    """Points in the plane, in groups by name, each of one color; names are literal, Markdown shows ``text`` alone."""

    text: str
    groups: Sequence[tuple[str, Sequence[Point]]]


Block = Title | Text | Items | Table | Code | Image | ImageRow | Bars | Scatter


def escape_marks(text: str) -> str:
    r"""Return ``text`` so that a page shows it as it is: a backslash before ``*``, backticks and backslashes."""
    return re.sub(r"([\\`*])", r"\\\1", text)
