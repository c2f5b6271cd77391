"""A page as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from edgegenre_runtime.inspect.markdown import markdown_table

from .blocks import Block, Code, ImageRow, Items, Table, Text, Title

__all__ = ["to_markdown"]


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return a page of Markdown."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Title):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Items):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Table):
        return markdown_table(block.head, block.rows)
    if isinstance(block, Code):
        return f"```{block.language}\n{block.text.rstrip()}\n```"
    pictures = block.images if isinstance(block, ImageRow) else [block]
    return "\n\n".join(picture.text for picture in pictures)
