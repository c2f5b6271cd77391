"""The cache of sounds: rendered kinds and folders, and no source in both halves."""

import numpy as np
import pytest
import soundfile

from edgegenre.cli import main
from edgegenre.data.builders.sounds import cache_sounds
from edgegenre.data.feature_cache import load_cache
from edgegenre.toy.sounds import KINDS, render_sound, rendered_sounds
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


def record(path, kind="hum", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, render_sound(kind, seed, 1.0), 22050)


def test_rendered_and_recorded_sounds_by_halves(tmp_path):
    for voice in ("anna", "ben", "cid"):
        for take in range(2):
            record(tmp_path / "in" / "speech" / voice / f"{take}.wav", seed=take)
    counts = cache_sounds(tmp_path / "s.npz", TABLES, rendered_sounds(2, 1.0, 0), tmp_path / "in", 0)
    assert counts == {**dict.fromkeys(KINDS, 2), "speech": 6}
    cache = load_cache(tmp_path / "s.npz", TABLES)
    assert cache.labels == tuple(sorted([*KINDS, "speech"]))
    parts = {group: set() for group in cache.groups}
    for group, code in zip(cache.groups, cache.split.tolist(), strict=True):
        parts[group].add(code)
    assert all(len(codes) == 1 for codes in parts.values())
    for index in range(len(cache.labels)):
        assert set(cache.split[cache.y == index].tolist()) == {1, 2}


def test_the_command(tmp_path, capsys):
    assert main(["data", "sounds", str(tmp_path / "s.npz"), "--clips", "2", "--seconds", "1"]) == 0
    assert "20 sounds, wide9s: 2 applause" in capsys.readouterr().out
    assert np.load(tmp_path / "s.npz")["y"].shape == (20,)


@pytest.mark.parametrize(
    ("name", "message"),
    [("speech/1.wav", "lie in .*KIND/SOURCE"), ("speech/anna/1.wav", "one source only"), ("noise/a/1.wav", "")],
)
def test_recordings_in_other_places_are_refused(tmp_path, name, message):
    record(tmp_path / "in" / name)
    if name.startswith("noise"):
        record(tmp_path / "in" / "noise" / "b" / "1.wav")
        message = "cannot be called 'noise'"
    with pytest.raises(DataError, match=message):
        cache_sounds(tmp_path / "s.npz", TABLES, rendered_sounds(2, 1.0, 0), tmp_path / "in", 0)
    assert not (tmp_path / "s.npz").exists()


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["data", "sounds", str(tmp_path / "s.npz"), "--folder", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
