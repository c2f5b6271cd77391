"""Plots of files with any name: whole or not at all, and without a word from matplotlib."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgegenre.cli import main
from edgegenre.figures import figure_png
from edgegenre.toy.dataset import write_piece

NAMES = [b"caf\xe9.wav", "日本語.wav".encode(), b"$x$.wav", b"\x1b[31m.wav", b"a\nb.wav"]


@pytest.fixture(scope="module")
def piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("piece") / "p.wav"
    write_piece(path, "disco", 0, 12.0)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_plot_a_file(
    piece: Path, name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    song = tmp_path / os.fsdecode(name)
    song.write_bytes(piece.read_bytes())
    for command, option in (("explain", "--out"), ("features", "--plot"), ("augment", "--plot")):
        plot = tmp_path / f"{command}.png"
        assert main([command, str(song), option, str(plot)]) == 0
        assert plot.read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr()
    shown.out.encode()
    assert "\x1b" not in shown.out
    assert "Glyph" not in shown.err


def test_the_same_figure_is_the_same_bytes() -> None:
    from matplotlib.figure import Figure

    def draw() -> bytes:
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1], [1, 0])
        return figure_png(figure)

    assert draw() == draw()
