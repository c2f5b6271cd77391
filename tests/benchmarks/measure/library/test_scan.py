"""The bench of library scans: what it times is done, and its tables say what was measured."""

import re

import pytest

from edgegenre.cli import main
from edgegenre_bench.measure.library import scan
from edgegenre_bench.measure.timing import Timing


def test_tables_give_ratios_to_decoding_and_to_librosa(tmp_path):
    (mp3, _) = scan.write_tracks(tmp_path, 10.0)
    stages = {"decoding alone": 100.0, "library scan, 10 windows": 50.0, "librosa, LiteRT float32, all": 400.0}
    timings = [Timing(stage, 1, 3, ms, ms * 2, ms * 2, ms * 2) for stage, ms in stages.items()]
    text = scan.format_rates({mp3: timings})
    assert text.startswith("mp3, 10 s, stereo:")
    assert "| library scan, 10 windows | 50 | 200 | 20.00 | 2.00 | 8.0 |" in text
    grown = scan.Growth(100, 20.0, 61.4, 150_000, 1.52)
    assert "| 100 | 20.0 | 5.0 | 61 | 1500 | 1.5 |" in scan.format_growth([grown])


def test_a_growing_library_is_scanned_whole(tmp_path):
    small, large = (scan.measure_growth(tmp_path, n_files, 1) for n_files in (2, 5))
    assert (small.n_files, large.n_files) == (2, 5)
    assert large.database_bytes >= small.database_bytes > 4096
    assert 20 < large.largest_mb < 250
    assert large.seconds > large.again_s * 0.5


def test_a_track_that_would_be_read_whole_is_refused(capsys, tmp_path):
    tracks = scan.write_tracks(tmp_path, 10.0)
    assert main(["bench", "library", str(tracks[0])]) == 2
    assert "10 windows are most of it" in capsys.readouterr().err
    assert main(["bench", "library", str(tmp_path / "none.mp3")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'.*' is deprecated:DeprecationWarning")  # what librosa.load imports
def test_every_pipeline_runs(capsys, monkeypatch):
    answered = []
    real = scan.analyze_file

    def analyze_file(*arguments):
        answered.append(real(*arguments))
        return answered[-1]

    monkeypatch.setattr(scan, "analyze_file", analyze_file)
    assert main(["bench", "library", "--seconds", "60", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^\| (decoding|library|librosa)", out, re.M)) == 14
    assert {found.error for found in answered} == {None}
    assert {found.n_windows for found in answered} == {10, 39}
