"""The plugin in the real beets: it says genres, and writes them when it is told to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from edgegenre.toy.dataset import render

pytest.importorskip("beets")
ROOT = Path(__file__).parents[1]


def beet(folder, *arguments):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "beets", "-c", folder / "config.yaml", *arguments],
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"BEETSDIR": str(folder), "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_genres_are_said_and_written_on_request(tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"directory: {tmp_path}/music\nlibrary: {tmp_path}/beets.db\nplugins: edgegenre\n"
        "import: {copy: no, write: no}\nedgegenre: {min_confidence: 0}\n"
    )
    (tmp_path / "in").mkdir()
    song = tmp_path / "in" / "song.flac"
    soundfile.write(song, render("disco", 0, 8.0), 22050)
    before = song.read_bytes()
    beet(tmp_path, "import", "-A", "-q", tmp_path / "in")
    assert "song.flac: " in beet(tmp_path, "edgegenre")
    assert song.read_bytes() == before
    assert beet(tmp_path, "list", "-f", "$genres").strip() == ""
    said = beet(tmp_path, "edgegenre", "--write").split(": ")[1].split()[0]
    assert beet(tmp_path, "list", "-f", "$genres").strip() == said
    assert song.read_bytes() != before
    data, _ = soundfile.read(song, dtype="int16")
    assert (data == render("disco", 0, 8.0)).all()
