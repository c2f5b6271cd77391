"""A table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as GitHub-flavored Markdown, without a line break at its end.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Cells, as many in each row as there are columns. A ``|`` in a cell is escaped, a line break becomes a space.

    Raises
    ------
    ValueError
        If a row is longer or shorter than ``head``.
    """
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row has {len(row)} cells, the table {len(head)} columns")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(" ".join(str(cell).split("\n")).replace("|", "\\|") for cell in cells) + " |"
