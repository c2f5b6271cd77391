from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.data.builders.build_cache import build_cache, format_counts
from edgegenre.data.dataset import Dataset
from edgegenre.data.feature_cache import NO_SPLIT, FeatureCache, crop, load_cache, save_cache
from edgegenre.data.sources.folder import scan_folder
from edgegenre.data.split import Split, split_tracks
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import log_mel, released

TABLES = released("wide9s")


def _small_set(root: Path) -> Dataset:
    for label in ("high", "low"):
        (root / label).mkdir()
        for i in range(3):
            t = np.arange(20_000 + 3000 * i) / 22050
            tone = 9000 * np.sin(2 * np.pi * (3000 if label == "high" else 300) * t)
            soundfile.write(root / label / f"{i}.wav", tone.astype(np.int16), 22050)
    return scan_folder(root)


@pytest.fixture
def built(tmp_path: Path) -> tuple[Dataset, Split, Path]:
    (tmp_path / "music").mkdir()
    dataset = _small_set(tmp_path / "music")
    split = split_tracks(dataset, 0)
    build_cache(dataset, TABLES, tmp_path / "features.npz", split=split)
    return dataset, split, tmp_path / "features.npz"


def test_the_cache_holds_every_track(built: tuple[Dataset, Split, Path]) -> None:
    dataset, split, path = built
    cache = load_cache(path, TABLES)
    assert cache.names == tuple(track.name for track in dataset.tracks)
    assert cache.groups == cache.names
    assert cache.labels == ("high", "low")
    assert cache.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert (cache.spec, cache.spec_hash) == (TABLES.spec, TABLES.spec_hash)
    for index, track in enumerate(dataset.tracks):
        pcm = soundfile.read(track.path, dtype="int16")[0]
        np.testing.assert_array_equal(cache.track(index), log_mel(pcm, TABLES).frames_q9)
    for part in ("train", "valid", "test"):
        assert tuple(cache.names[i] for i in cache.tracks_of(part)) == getattr(split, part)
    with pytest.raises(UsageError, match="split 'dev' is unknown"):
        cache.tracks_of("dev")


def test_jobs_do_not_change_a_byte(built: tuple[Dataset, Split, Path], tmp_path: Path) -> None:
    dataset, split, path = built
    done: list[tuple[int, int]] = []
    build_cache(dataset, TABLES, tmp_path / "b.npz", split=split, progress=lambda *d: done.append(d))
    assert done == [(i, 6) for i in range(1, 7)]
    first, second = load_cache(path, TABLES), load_cache(tmp_path / "b.npz", TABLES)
    np.testing.assert_array_equal(first.frames, second.frames)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.npz", "features.npz", "music"]


def test_tracks_outside_the_split_are_unused(built: tuple[Dataset, Split, Path], tmp_path: Path) -> None:
    dataset, split, _ = built
    smaller = dataclasses.replace(split, test=())
    build_cache(dataset, TABLES, tmp_path / "c.npz", split=smaller)
    cache = load_cache(tmp_path / "c.npz", TABLES)
    assert [cache.names[i] for i in np.flatnonzero(cache.split == NO_SPLIT)] == list(split.test)


def test_broken_files_are_reported_and_skipped_or_stop(tmp_path: Path) -> None:
    _small_set(tmp_path)
    (tmp_path / "low" / "empty.wav").touch()
    (tmp_path / "low" / "text.wav").write_text("la la la")
    soundfile.write(tmp_path / "high" / "short.wav", np.zeros(2047, np.int16), 22050)
    dataset = scan_folder(tmp_path)
    split, out = split_tracks(dataset, 0), tmp_path / "features.npz"
    with pytest.raises(DataError, match=r"^3 of 9 files cannot be used: .*short.wav.*; .*empty.wav.*; .*text.wav"):
        build_cache(dataset, TABLES, out, split=split, strict=True)
    assert not out.exists()
    report = build_cache(dataset, TABLES, out, split=split)
    assert len(report.cache.names) == 6
    assert [path.name for path, _ in report.broken] == ["short.wav", "empty.wav", "text.wav"]
    assert "too short, 2047 samples" in report.broken[0][1]
    assert len(load_cache(out, TABLES).names) == 6


def test_the_split_is_drawn_from_what_could_be_read(tmp_path: Path) -> None:
    """Drawn before, a class is left with what the broken files happen to leave it."""
    _small_set(tmp_path)
    for i in range(40):
        (tmp_path / "low" / f"broken{i}.wav").touch()
    report = build_cache(scan_folder(tmp_path), TABLES, tmp_path / "features.npz", seed=0)
    assert len(report.broken) == 40
    assert [len(part) for part in (report.split.train, report.split.valid, report.split.test)] == [2, 2, 2]
    cache = load_cache(tmp_path / "features.npz", TABLES)
    assert format_counts(cache).splitlines() == [
        "class   train   valid    test",
        "high        1       1       1",
        "low         1       1       1",
    ]


def test_a_class_or_part_that_lost_its_tracks_is_named(tmp_path: Path) -> None:
    _small_set(tmp_path)
    dataset = scan_folder(tmp_path)
    (tmp_path / "low" / "0.wav").write_text("la la la")
    with pytest.raises(DataError, match=r"'low' has 2 groups.*, after 1 files that cannot be read were left out"):
        build_cache(dataset, TABLES, tmp_path / "features.npz")
    lows = tuple(t.name for t in dataset.tracks if t.label == "low")
    highs = tuple(t.name for t in dataset.tracks if t.label == "high")
    given = Split(train=(*lows[1:], *highs[:2]), valid=highs[2:], test=lows[:1], seed=0)
    with pytest.raises(DataError, match="the split has no track for test, after 1 files"):
        build_cache(dataset, TABLES, tmp_path / "features.npz", split=given)
    for name in lows:
        (tmp_path / name).write_text("la la la")
    with pytest.raises(DataError, match="class 'low' has no track, after 3 files"):
        build_cache(dataset, TABLES, tmp_path / "features.npz", split=given)


def test_a_file_far_above_full_scale_is_kept_and_noted(tmp_path: Path) -> None:
    _small_set(tmp_path)
    loud = 8 * np.sin(2 * np.pi * 300 * np.arange(20_000) / 22050)
    soundfile.write(tmp_path / "low" / "0.wav", loud.astype(np.float32), 22050, subtype="FLOAT")
    report = build_cache(scan_folder(tmp_path), TABLES, tmp_path / "features.npz")
    assert report.broken == ()
    (note,) = report.notes
    assert "low/0.wav" in note
    assert "full scale" in note


def test_a_silent_file_is_kept_and_noted(tmp_path: Path) -> None:
    _small_set(tmp_path)
    soundfile.write(tmp_path / "low" / "0.wav", np.zeros(20_000, np.int16), 22050)
    quiet = 2 * np.sin(2 * np.pi * 300 * np.arange(20_000) / 22050)
    soundfile.write(tmp_path / "low" / "1.wav", np.rint(quiet).astype(np.int16), 22050)
    report = build_cache(scan_folder(tmp_path), TABLES, tmp_path / "features.npz")
    assert [note.split(": ")[1] for note in report.notes] == ["is silent from end to end"] * 2
    assert len(report.cache.names) == 6


def test_counts_of_classes_in_any_script_stand_in_columns(tmp_path: Path) -> None:
    _small_set(tmp_path)
    (tmp_path / "low").rename(tmp_path / "流行")
    (tmp_path / "high").rename(tmp_path / "ab")
    report = build_cache(scan_folder(tmp_path), TABLES, tmp_path / "features.npz")
    assert format_counts(report.cache).splitlines()[1:] == [
        "ab          1       1       1",
        "流行        1       1       1",
    ]


def test_nothing_to_cache(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(3):
            (tmp_path / label / f"{i}.wav").touch()
    dataset = scan_folder(tmp_path)
    with pytest.raises(DataError, match="6 of 6 files cannot be used"):
        build_cache(dataset, TABLES, tmp_path / "x.npz", split=split_tracks(dataset, 0))


def test_bad_arguments_are_refused_before_the_work(built: tuple[Dataset, Split, Path], tmp_path: Path) -> None:
    dataset, split, _ = built
    with pytest.raises(DataError, match=r"the split names other\.wav, which is not in the data set"):
        build_cache(dataset, TABLES, tmp_path / "x.npz", split=dataclasses.replace(split, test=("other.wav",)))
    with pytest.raises(DataError, match="there is no folder"):
        build_cache(dataset, TABLES, tmp_path / "missing" / "x.npz", split=split)


def test_another_front_end_is_refused(built: tuple[Dataset, Split, Path]) -> None:
    with pytest.raises(DataError, match=r"made with front-end wide9s .*but seed3s .*build the cache again") as caught:
        load_cache(built[2], released("seed3s"))
    assert "\n" not in str(caught.value)


def test_damaged_files_are_refused(built: tuple[Dataset, Split, Path], tmp_path: Path) -> None:
    data = built[2].read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 3] ^= 1
    bad = tmp_path / "bad.npz"
    for content in (b"", b"garbage" * 100, data[:-100], data[: len(data) // 2], bytes(flipped)):
        bad.write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.npz: not a feature cache, or damaged"):
            load_cache(bad, TABLES)
    with pytest.raises(DataError, match="cannot read the feature cache"):
        load_cache(tmp_path / "missing.npz", TABLES)
    with pytest.raises(DataError, match="is a folder, not a feature cache: make one with  edgegenre data prepare"):
        load_cache(tmp_path, TABLES)
    with np.load(io.BytesIO(data)) as archive:
        arrays = dict(archive)
    np.savez(bad, **(arrays | {"labels": np.arange(len(arrays["labels"]))}))
    with pytest.raises(DataError, match="not a feature cache, or damaged"):
        load_cache(bad, TABLES)
    np.savez(bad, about=np.array(json.dumps({"format_version": 3})))
    with pytest.raises(DataError, match="feature cache of format 3; this edgegenre reads 1 and 2"):
        load_cache(bad, TABLES)


def test_no_damage_is_a_traceback(built: tuple[Dataset, Split, Path], tmp_path: Path) -> None:
    """Bytes of the zip's and the arrays' headers are changed, one or several at a time; seeded."""
    whole = np.frombuffer(built[2].read_bytes(), np.uint8)
    rng, path = np.random.default_rng(0), tmp_path / "x.npz"
    headers = np.concatenate([np.arange(200), np.arange(len(whole) - 900, len(whole))])
    refused = 0
    for _ in range(400):
        damaged = whole.copy()
        at = rng.choice(headers, rng.integers(1, 4))
        damaged[at] = rng.choice([0, 1, 8, 12, 14, 39, 40, 93, 255, *rng.integers(0, 256, 4)], len(at))
        path.write_bytes(damaged.tobytes())
        try:
            load_cache(path, TABLES)
        except DataError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_damage_inside_compressed_members_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("about.npy", bytes(range(256)) * 8)
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError):
        load_cache(path, TABLES)


@pytest.mark.parametrize(
    "change",
    [
        {"y": np.array([0, 1, 2], np.int64)},
        {"y": np.zeros(3, np.int32)},
        {"split": np.array([0, 1, 4], np.uint8)},
        {"offsets": np.array([0, 5, 4, 6], np.int64)},
        {"offsets": np.array([0, 2, 4, 7], np.int64)},
        {"groups": ("g",)},
        {"frames": np.zeros((127, 6), np.int16)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    cache = FeatureCache(
        frames=np.zeros((128, 6), np.int16),
        offsets=np.array([0, 2, 4, 6], np.int64),
        y=np.array([0, 1, 1], np.int64),
        labels=("a", "b"),
        names=("1", "2", "3"),
        groups=("1", "2", "3"),
        split=np.array([0, 1, 2], np.uint8),
        spec=TABLES.spec,
        spec_hash=TABLES.spec_hash,
    )
    path = tmp_path / "c.npz"
    save_cache(cache, path)
    assert load_cache(path, TABLES).track(1).shape == (128, 2)
    save_cache(dataclasses.replace(cache, **change), path)
    with pytest.raises(DataError, match="do not fit together"):
        load_cache(path, TABLES)


def test_crops() -> None:
    frames = np.arange(10, dtype=np.int16).reshape(2, 5)
    np.testing.assert_array_equal(crop(frames, 1, 3), [[1, 2, 3], [6, 7, 8]])
    np.testing.assert_array_equal(crop(frames, 0, 5), frames)
    np.testing.assert_array_equal(crop(frames, 0, 7), [[0, 1, 2, 3, 4, 0, 1], [5, 6, 7, 8, 9, 5, 6]])
    for start, width in [(-1, 3), (3, 3), (1, 7)]:
        with pytest.raises(UsageError, match="cannot cut"):
            crop(frames, start, width)
    with pytest.raises(UsageError, match="a track of 0"):
        crop(frames[:, :0], 0, 3)


def test_the_toy_set_goes_through(toy_folder: Path, tmp_path: Path) -> None:
    dataset = scan_folder(toy_folder)
    report = build_cache(dataset, TABLES, tmp_path / "toy.npz", split=split_tracks(dataset, 0))
    cache = load_cache(tmp_path / "toy.npz", TABLES)
    assert (len(report.cache.names), report.broken) == (40, ())
    assert cache.frames.shape == (128, 40 * TABLES.spec.n_frames(220500))
    for part, n_tracks in (("train", 20), ("valid", 10), ("test", 10)):
        assert set(cache.y[cache.tracks_of(part)]) == set(range(10))
        assert len(cache.tracks_of(part)) == n_tracks
