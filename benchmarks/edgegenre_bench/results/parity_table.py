"""The parity suite's rows for people.

Apart from :mod:`edgegenre_bench.parity.suite`, for the report is written with the base install.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgegenre_runtime.inspect.markdown import markdown_table

__all__ = ["format_table"]


def format_table(rows: Sequence[dict[str, Any]], n_clips: int, n_windows: int, data: str) -> str:
    """Return the rows as a Markdown table, with the names of changed clips below it."""
    heads = (
        "implementation",
        "windows that agree",
        "clips that agree",
        "largest logit difference",
        "largest probability difference",
        "clips correct",
    )
    table = []
    for row in rows:
        if row["why_not"]:
            cells = [row["implementation"], row["why_not"], "", "", "", ""]
        else:
            lsb = "other scale" if row["max_lsb"] is None else f"{row['max_lsb']} LSB"
            right = "" if row["clips_right"] is None else f"{row['clips_right']}"
            share, difference = f"{row['windows_agree']:.2%}", f"{row['max_probability_difference']:.3f}"
            cells = [row["implementation"], share, f"{row['clips_agree']} of {n_clips}", lsb, difference, right]
        table.append(cells)
    changed = [f"{row['implementation']}: {', '.join(row['changed'])}." for row in rows if row["changed"]]
    return "\n\n".join(
        [
            f"{n_windows} windows of {n_clips} clips, {data}, compared with TFLite int8 by XNNPACK:",
            markdown_table(heads, table),
            "Changed clips. " + " ".join(changed) if changed else "No clip changed.",
        ]
    )
