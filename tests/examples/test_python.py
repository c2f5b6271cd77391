"""examples/python and examples/pi, run as they are."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import soundfile

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_tag_folder(tmp_path):
    soundfile.write(tmp_path / "a.wav", render("metal", 0, 10.0), 22050)
    (tmp_path / "b.mp3").write_text("no music")
    command = [sys.executable, EXAMPLES / "python/tag_folder.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert row["genre"] == GenreClassifier.load().predict_file(tmp_path / "a.wav").label
    assert 0 < float(row["probability"]) <= 1
    assert "b.mp3" in done.stderr
    assert subprocess.run(command[:2], capture_output=True, check=False).returncode == 1


def record(end_s, label):
    probabilities = {} if label in ("silence", "noise") else {"jazz": 0.75, "rock": 0.25}
    return json.dumps({"kind": "result", "end_s": end_s, "label": label, "probabilities": probabilities})


def test_on_genre_runs_a_command_when_a_genre_has_held(tmp_path):
    labels = ["jazz"] * 5 + ["rock"] * 3 + ["jazz"] * 12 + ["silence"] * 30 + ["uncertain", "rock"] + ["rock"] * 12
    lines = [json.dumps({"kind": "event", "event": "live"}), *(record(s, label) for s, label in enumerate(labels))]
    command = [sys.executable, EXAMPLES / "pi/on_genre.py", "echo"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["jazz 0.75", "rock 0.25"]
    failing = subprocess.run(
        [*command[:2], "false"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert "false jazz: exit code 1" in failing.stderr
