from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgegenre.data.clips import read_clip
from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.gtzan.dataset import import_logmel
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize, preset, released
from edgegenre_runtime.frontend.tables import design

DB_PER_STEP = 80 / 255


def _tiny_set(folder: Path, **changes: object) -> Path:
    """Write a set of three clips in the format of the shared one."""
    arrays: dict[str, object] = {
        "X": np.random.default_rng(0).integers(0, 256, (3, 128, 721), dtype=np.uint8),
        "y": np.array([0, 1, 1]),
        "name": np.array(["blues.00000", "jazz.00054", "classical.00042"]),
        "genres": np.array(["blues", "jazz"]),
        "vmin_db": np.float32([-80, -60, -80]),
        "dur_s": np.float32([30.0, 30.0, 30.63]),
    }
    np.savez(folder / "logmel_721.npz", **(arrays | changes))
    return folder


@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_a_tiny_set(tmp_path: Path, name: str) -> None:
    tables, out = released(name), tmp_path / "cache.npz"
    assert import_logmel(_tiny_set(tmp_path), tables, out) == 3
    cache = load_cache(out, tables)
    assert cache.labels == ("blues", "jazz")
    assert cache.groups == ("john lee hooker", "jazz.00054", "giovanni gabrieli")
    assert cache.split.tolist() == [1, 0, 3]
    assert np.diff(cache.offsets).tolist() == [tables.spec.n_frames(n) for n in (661_504, 661_504, 675_392)]
    assert not normalize(cache.track(1)[:, :128], tables).is_silence


def test_a_column_keeps_its_place_and_level(tmp_path: Path) -> None:
    x = np.zeros((3, 128, 721), np.uint8)
    x[0, 7, 100] = 255
    tables, out = released("seed3s"), tmp_path / "cache.npz"
    import_logmel(_tiny_set(tmp_path, X=x), tables, out)
    frames = load_cache(out, tables).track(0)
    assert np.unravel_index(frames.argmax(), frames.shape) == (7, 183 - 2)  # round(178.532 + 4.397) = 183
    assert (int(frames.max()) - int(frames.min())) * 3.0103 / 512 == pytest.approx(80 * 255 / 256, abs=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"X": np.zeros((2, 128, 721), np.uint8)},
        {"X": np.zeros((3, 128, 721), np.float32)},
        {"y": np.array([0, 1, 2])},
        {"dur_s": np.float32([30, 30, np.nan])},
        {"vmin_db": np.float32([-80, -80, 0])},
        {"vmin_db": np.float32([-80, -80, -np.inf])},
        {"dur_s": np.array(["30", "30", "30"])},
        {"genres": np.array("blues")},
        {"X": np.zeros((3, 128, 1), np.uint8)},
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="do not fit together"):
        import_logmel(_tiny_set(tmp_path, **changes), released("seed3s"), tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    tables, out = released("seed3s"), tmp_path / "out.npz"
    with pytest.raises(DataError, match="cannot read the ready log-mels"):
        import_logmel(tmp_path, tables, out)
    (tmp_path / "logmel_721.npz").write_bytes(b"garbage")
    with pytest.raises(DataError, match="not the ready log-mel set, or damaged"):
        import_logmel(tmp_path, tables, out)
    with pytest.raises(DataError, match=r"jazz\.00100: GTZAN has no such clip"):
        import_logmel(_tiny_set(tmp_path, name=np.array(["blues.00000", "jazz.00100", "jazz.00001"])), tables, out)


def test_another_band_layout_is_refused(tmp_path: Path) -> None:
    tables = design(dataclasses.replace(preset("seed3s"), name="custom", n_mels=64))
    with pytest.raises(DataError, match="front-end custom has other bands than the ready log-mels"):
        import_logmel(_tiny_set(tmp_path), tables, tmp_path / "out.npz")


def _mean_error_db(cache: FeatureCache, clip: Path, tables: Tables) -> float:
    """Mean difference of imported and computed windows of one clip, in dB after the window normalizer."""
    imported = cache.track(cache.names.index(clip.stem))
    computed = log_mel(read_clip(clip, 22050).pcm, tables).frames_q9
    errors = []
    for start in range(0, min(imported.shape[1], computed.shape[1]) - 127, 128):
        windows = [normalize(frames[:, start : start + 128], tables).cells for frames in (imported, computed)]
        errors.append(np.abs(windows[0].astype(int) - windows[1]).mean() * DB_PER_STEP)
    return float(np.mean(errors))


@pytest.mark.shared
@pytest.mark.slow
def test_the_shared_set_is_what_the_audio_gives(shared_dir: Path, tmp_path: Path) -> None:
    gtzan, tables = shared_dir / "data" / "gtzan", released("seed3s")
    assert import_logmel(gtzan, tables, tmp_path / "gtzan.npz") == 999
    cache = load_cache(tmp_path / "gtzan.npz", tables)
    assert np.bincount(cache.split).tolist() == [442, 197, 290, 70]  # jazz.00054 is not in the set
    errors_db = [_mean_error_db(cache, clip, tables) for clip in sorted((gtzan / "clips").glob("*.flac"))]
    assert len(errors_db) == 10
    assert np.mean(errors_db) < 1.3
    assert max(errors_db) < 1.7
