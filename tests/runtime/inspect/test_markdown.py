"""The Markdown table: cells that would break it, and rows of another width."""

import pytest

from edgegenre_runtime.inspect.markdown import markdown_table


def test_a_table_has_a_rule_under_its_head_and_every_cell_as_text():
    assert markdown_table(("a", "b"), [(1, 2.5), ("x", "")]) == "| a | b |\n| --- | --- |\n| 1 | 2.5 |\n| x |  |"


def test_bars_and_line_breaks_stay_inside_their_cell():
    assert markdown_table(("a|b",), [("c\nd|e",)]).splitlines() == ["| a\\|b |", "| --- |", "| c d\\|e |"]


def test_a_row_of_another_width_is_refused():
    with pytest.raises(ValueError, match="3 cells, the table 2 columns"):
        markdown_table(("a", "b"), [(1, 2, 3)])
