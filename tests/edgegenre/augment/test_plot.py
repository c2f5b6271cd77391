"""The picture of the augmentations."""

import numpy as np
import pytest

from edgegenre.augment.plot import feature_panels
from edgegenre.cli import main
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


def test_every_transform_but_gain_changes_the_window():
    frames = np.random.default_rng(0).integers(2000, 9000, (128, 200), dtype=np.int16)
    panels = feature_panels(frames, TABLES, seed=1)
    plain = panels.pop("as it is")
    difference = np.abs(panels.pop("gain − 12 dB (taken out)").astype(int) - plain)
    assert difference.max() <= 1  # 12 dB is no whole number of Q9 units
    assert len(panels) == 9
    assert not any(np.array_equal(cells, plain) for cells in panels.values())


def test_a_track_shorter_than_a_window_is_repeated():
    panels = feature_panels(np.random.default_rng(0).integers(0, 999, (128, 5), dtype=np.int16), TABLES, seed=1)
    assert {cells.shape for cells in panels.values()} == {(128, 128)}


@pytest.mark.slow
def test_the_command_writes_a_png_and_repeats_exactly(toy_folder, tmp_path, capsys):
    song = str(toy_folder / "jazz" / "jazz.00000.wav")
    for name in ("a.png", "b.png"):
        assert main(["augment", song, "--plot", str(tmp_path / name), "--seed", "3"]) == 0, capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert main(["augment", song, "--plot", str(tmp_path / "no" / "a.png")]) == 2
    assert "cannot write, there is no folder" in capsys.readouterr().err
