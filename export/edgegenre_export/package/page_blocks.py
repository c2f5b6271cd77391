"""A page as blocks, written as Markdown or as one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Sequence

from edgegenre_runtime.inspect.markdown import markdown_table

__all__ = ["Block", "Code", "Items", "Table", "Text", "Title", "to_html", "to_markdown"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: left; overflow-wrap: anywhere; }
code, pre { background: #f3f3f3; overflow-wrap: anywhere; }
code { padding: .1em .3em; }
pre { padding: .7em; overflow-x: auto; }
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Title:
    """A heading of level 1 to 3."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; ``**bold**`` and ```code``` are the only marks."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """A list of paragraphs."""

    items: Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """Source code in a language."""

    language: str
    text: str


Block = Title | Text | Items | Table | Code


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return a page of Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Title):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Items):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Table):
        return markdown_table(block.head, block.rows)
    if isinstance(block, Code):
        return f"```{block.language}\n{block.text.rstrip()}\n```"
    return block.text


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Return one HTML document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(_html(block) for block in blocks)
        + "\n</body></html>\n"
    )


def _html(block: Block) -> str:
    if isinstance(block, Title):
        return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Table):
        head = "".join(f"<th>{_inline(cell)}</th>" for cell in block.head)
        body = "".join("<tr>" + "".join(f"<td>{_inline(str(c))}</td>" for c in row) + "</tr>" for row in block.rows)
        return f"<table><tr>{head}</tr>{body}</table>"
    if isinstance(block, Code):
        return f"<pre><code>{html.escape(block.text.rstrip())}</code></pre>"
    return f"<p>{_inline(block.text)}</p>"


def _inline(text: str) -> str:
    escaped = html.escape(text, quote=False)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped)
