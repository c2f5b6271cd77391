from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.cli import main
from edgegenre.data.builders.unlabeled import cache_unlabeled
from edgegenre.data.feature_cache import NO_SPLIT, load_cache
from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.frontend import log_mel, released

RATE_HZ = 22050


def noise(path: Path, seconds: float, level: float = 0.1) -> np.ndarray:
    pcm = np.rint(np.random.default_rng(0).normal(0, level * 32767, round(seconds * RATE_HZ))).astype(np.int16)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, pcm, RATE_HZ)
    return pcm


def test_pieces_of_every_recording_that_is_long_and_loud_enough(tmp_path: Path) -> None:
    pcm = noise(tmp_path / "music" / "long.wav", 85)
    noise(tmp_path / "music" / "once.wav", 35)
    noise(tmp_path / "music" / "short.wav", 25)
    noise(tmp_path / "music" / "faint.wav", 35, 1e-4)
    (tmp_path / "music" / "broken.wav").write_bytes(b"RIFF")
    tables, out = released("seed3s"), tmp_path / "u.npz"
    n_pieces, broken = cache_unlabeled(tmp_path / "music", tables, out, 12.0)
    cache = load_cache(out, tables)
    assert n_pieces == 3
    assert cache.names == ("long.wav@20", "long.wav@70", "once.wav@20")
    assert [path.name for path, _ in broken] == ["broken.wav"]
    assert set(cache.split.tolist()) == {NO_SPLIT}
    np.testing.assert_array_equal(cache.track(1), log_mel(pcm[70 * RATE_HZ : 82 * RATE_HZ], tables).frames_q9)


def test_nothing_to_learn_from_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(tmp_path / "music" / "short.wav", 5)
    with pytest.raises(EdgeGenreError, match="no recording of at least 50 s"):
        cache_unlabeled(tmp_path / "music", released("seed3s"), tmp_path / "u.npz", 30.0)
    assert main(["data", "unlabeled", str(tmp_path / "nowhere"), "--out", str(tmp_path / "u.npz")]) == 2
    assert "nowhere" in capsys.readouterr().err
