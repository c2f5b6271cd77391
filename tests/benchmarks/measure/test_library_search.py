"""The bench of searches: both ways find the same tracks, and the table says what was measured."""

import re

import numpy as np

from edgegenre.cli import main
from edgegenre_bench.measure import library_search
from edgegenre_runtime.library.nearest import nearest_rows


def test_both_searches_find_the_same():
    rng = np.random.default_rng(0)
    rows, point = rng.normal(size=(3000, 16)).astype(np.float16), rng.normal(size=(16, 1)).astype(np.float32)
    assert set(library_search._plain(rows, point)) == set(nearest_rows(rows, point, 30)[:, 0])


def test_a_row_for_each_size(capsys):
    assert main(["bench", "library", "--search", "400", "--search", "100"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    number = r"\d+\.\d\d"
    assert [row.split(" | ")[0] for row in rows] == ["| 100", "| 400"]
    for row in rows:
        assert re.fullmatch(rf"\| \d+ \| \d+ \| {number} \({number}\) \| {number} \({number}\) \| {number} \|", row)


def test_too_few_tracks_are_refused(capsys):
    assert main(["bench", "library", "--search", "3"]) == 2
    assert "--search" in capsys.readouterr().err
    assert main(["bench", "library", "--search", "100", "--files", "3"]) == 2
    assert capsys.readouterr().err == "edgegenre: --search scans nothing: leave out the tracks and --files\n"
