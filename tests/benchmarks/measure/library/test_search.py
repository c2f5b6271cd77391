"""The bench of searches: the table says what was measured."""

import re

from edgegenre.cli import main


def test_a_row_for_each_size(capsys):
    assert main(["bench", "library", "--search", "400", "--search", "100"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    number = r"\d+\.\d\d"
    assert [row.split(" | ")[0] for row in rows] == ["| 100", "| 400"]
    both = rf"{number} \({number}\)"
    for row in rows:
        assert re.fullmatch(rf"\| \d+ \| \d+ \| 0 \| {both} \| {both} \| \d+\.\d \| {both} \| {both} \|", row)


def test_too_few_tracks_are_refused(capsys):
    assert main(["bench", "library", "--search", "3"]) == 2
    assert "--search" in capsys.readouterr().err
    assert main(["bench", "library", "--search", "100", "--files", "3"]) == 2
    assert capsys.readouterr().err == "edgegenre: --search scans nothing: leave out the tracks and --files\n"
