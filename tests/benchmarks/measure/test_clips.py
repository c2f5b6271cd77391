"""Clips for parity: names that tell them apart and are printable, and whole windows."""

import os
from pathlib import Path

import pytest
import soundfile

from edgegenre.cli import main
from edgegenre.toy.dataset import render
from edgegenre_bench.measure.clips import clip_names, read_clip_pcm
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import released

SPEC = released("seed3s").spec


def test_files_of_one_name_are_told_apart_by_folder_then_by_path():
    files = [Path("x/a/1.wav"), Path("x/b/1.wav"), Path("y/b/1.wav"), Path("x/a/2.wav")]
    assert clip_names(files) == ["a/1.wav", "x/b/1.wav", "y/b/1.wav", "2.wav"]


def test_names_are_printable():
    (name,) = clip_names([Path(os.fsdecode(b"\xe9\x1b[2J.wav"))])
    assert name == "\\xe9\\x1b[2J.wav"
    name.encode()


def test_a_clip_shorter_than_a_window_is_refused(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", render("jazz", 1, 2.9), 22050)
    with pytest.raises(UsageError, match=r"a\.wav: shorter than a window of 3\.0 s"):
        read_clip_pcm(tmp_path / "a.wav", SPEC)
    for command in (["frontend"], ["parity", "--suite"]):
        assert main(["bench", *command, str(tmp_path / "a.wav")]) == 2
        assert "shorter than a window" in capsys.readouterr().err
