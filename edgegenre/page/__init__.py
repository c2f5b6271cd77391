"""Pages for people: one list of blocks, written as Markdown or as one self-contained HTML file."""

from __future__ import annotations

from .blocks import Bars, Block, Code, Image, ImageRow, Items, Point, Scatter, Table, Text, Title, escape_marks
from .html_page import to_html
from .markdown import to_markdown

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
    "to_html",
    "to_markdown",
]
