from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgegenre.data.builders.songs import import_songs
from edgegenre.data.feature_cache import load_cache, thin
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import released


def _songs(folder: Path, **changes: object) -> Path:
    arrays: dict[str, object] = {
        "X": np.random.default_rng(0).integers(0, 256, (3, 128, 1291), dtype=np.uint8),
        "n_frames": np.array([1291, 600, 4]),
        "level_db": np.float32([90, 80, 100]),
        "y": np.array([0, 1, 1]),
        "genres": np.array(["blues", "jazz"]),
        "name": np.array(["a", "b", "c"]),
        "artist": np.array(["x", "y", "z"]),
        "part": np.array(["valid", "test", "test"]),
    }
    np.savez(folder / "logmel_1291.npz", **(arrays | changes))
    return folder


def test_songs_become_a_cache_of_validation_and_test_tracks(tmp_path: Path) -> None:
    x = np.zeros((3, 128, 1291), np.uint8)
    x[0, 7, 30] = 255
    out = tmp_path / "songs.npz"
    assert import_songs(_songs(tmp_path, X=x), released("wide9s"), out) == 3
    cache = load_cache(out, released("wide9s"))
    assert np.diff(cache.offsets).tolist() == [431, 200, 2]
    assert cache.split.tolist() == [1, 2, 2]
    assert cache.groups == ("x", "y", "z")
    frames = cache.track(0)
    assert np.unravel_index(frames.argmax(), frames.shape) == (7, 10)
    assert float(frames.max()) * 10 * np.log10(2) / 512 == pytest.approx(90, abs=0.01)
    assert float(frames.min()) * 10 * np.log10(2) / 512 == pytest.approx(10, abs=0.01)


def test_every_third_frame_of_seed3s_is_wide9s(tmp_path: Path) -> None:
    folder, short, wide = _songs(tmp_path), released("seed3s"), released("wide9s")
    import_songs(folder, short, tmp_path / "s.npz")
    import_songs(folder, wide, tmp_path / "w.npz")
    thinned, direct = thin(load_cache(tmp_path / "s.npz", short), wide), load_cache(tmp_path / "w.npz", wide)
    np.testing.assert_array_equal(thinned.frames, direct.frames)
    np.testing.assert_array_equal(thinned.offsets, direct.offsets)
    assert thinned.spec_hash == wide.spec_hash
    with pytest.raises(DataError, match="multiple of its hop"):
        thin(direct, short)


@pytest.mark.parametrize(
    "changes",
    [
        {"X": np.zeros((2, 128, 1291), np.uint8)},
        {"X": np.zeros((3, 128, 1291), np.float32)},
        {"n_frames": np.array([1292, 1, 1])},
        {"y": np.array([0, 1, 2])},
        {"part": np.array(["valid", "test", "train"])},
        {"n_frames": np.array([1.0, 1.0, 1.0])},
        {"genres": np.array([1, 2])},
    ],
)
def test_damaged_songs_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="damaged"):
        import_songs(_songs(tmp_path, **changes), released("seed3s"), tmp_path / "songs.npz")
    assert not (tmp_path / "songs.npz").exists()
