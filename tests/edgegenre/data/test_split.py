from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre.data.dataset import SPLIT_NAMES, Dataset, Track
from edgegenre.data.sources.manifest import read_manifest
from edgegenre.data.split import Split, load_split, save_split, split_tracks
from edgegenre_runtime.errors import DataError, UsageError


def _manifest(folder: Path, text: str | bytes) -> Path:
    path = folder / "tracks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _dataset(groups_of: dict[str, list[str]]) -> Dataset:
    tracks = [
        Track(f"{label}/{i:03d}.wav", Path(f"{label}/{i:03d}.wav"), label, group)
        for label, groups in groups_of.items()
        for i, group in enumerate(groups)
    ]
    return Dataset(tuple(sorted(tracks, key=lambda t: t.name)), tuple(sorted(groups_of)))


_groups = st.lists(st.integers(0, 12).map(str), min_size=3, max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    groups_of=st.dictionaries(st.sampled_from(["blues", "jazz", "rock"]), _groups, min_size=2), seed=st.integers(0, 99)
)
def test_groups_never_straddle_and_every_track_is_used_once(groups_of: dict[str, list[str]], seed: int) -> None:
    dataset = _dataset(groups_of)
    try:
        split = split_tracks(dataset, seed)
    except DataError as error:
        assert "a split needs at least 3 per class" in str(error)  # noqa: PT017
        return
    names = [*split.train, *split.valid, *split.test]
    assert sorted(names) == [track.name for track in dataset.tracks]
    part_of, part_of_group = split.by_name(), {}
    for track in dataset.tracks:
        assert part_of_group.setdefault(track.group, part_of[track.name]) == part_of[track.name]
    assert split == split_tracks(dataset, seed)
    assert split.train
    assert split.valid
    assert split.test


def test_the_split_is_stratified_and_seeded() -> None:
    dataset = _dataset({label: [f"{label}{i}" for i in range(100)] for label in "abc"})
    split = split_tracks(dataset, 1)
    for names, wanted in [(split.train, 70), (split.valid, 15), (split.test, 15)]:
        assert Counter(name[0] for name in names) == dict.fromkeys("abc", wanted)
    assert split.train != split_tracks(dataset, 2).train


def test_a_large_group_goes_where_there_is_room() -> None:
    dataset = _dataset({label: [label] * 60 + [f"{label}{i}" for i in range(40)] for label in "ab"})
    assert {len(split_tracks(dataset, seed).train) for seed in range(5)} == {140}


def test_too_few_groups() -> None:
    with pytest.raises(DataError, match="class 'b' has 2 groups of tracks; a split needs at least 3 per class"):
        split_tracks(_dataset({"a": ["1", "2", "3"], "b": ["4", "5"]}), 0)


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.0), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_bad_fractions(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="must be positive and add up to 1"):
        split_tracks(_dataset({"a": ["1", "2", "3"], "b": ["4", "5", "6"]}), 0, fractions)


def _given(tmp_path: Path, *rows: str) -> Dataset:
    return read_manifest(_manifest(tmp_path, "path,label,split,group\n" + "\n".join(rows) + "\n"))


def test_a_manifests_own_split_is_kept(tmp_path: Path) -> None:
    dataset = _given(tmp_path, "a.wav,x,test,", "b.wav,y,train,", "c.wav,x,valid,", "d.wav,x,train,")
    assert split_tracks(dataset, 9) == Split(("b.wav", "d.wav"), ("c.wav",), ("a.wav",), seed=9)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (("a.wav,x,test,", "b.wav,y,,"), "track b.wav has no split"),
        (("a.wav,x,test,Q", "b.wav,y,train,Q", "c.wav,y,valid,"), "group 'Q' is in test and in train"),
        (("a.wav,x,train,", "b.wav,y,train,"), "no tracks for valid, test"),
    ],
)
def test_a_manifests_bad_split_is_refused(tmp_path: Path, rows: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        split_tracks(_given(tmp_path, *rows), 0)


def test_a_split_file_keeps_everything(tmp_path: Path) -> None:
    split = Split(("ä/1.wav", "b"), ("c",), ("d",), seed=5)
    save_split(split, tmp_path / "split.json")
    assert load_split(tmp_path / "split.json") == split
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "split version 2; this edgegenre reads 1"),
        ({"format": "x"}, "not a split file"),
        ({"train": None}, "damaged split"),
        ({"train": ["c"]}, "damaged split"),
        ({"train": [1]}, "damaged split"),
        ({"seed": "x"}, "damaged split"),
    ],
)
def test_bad_split_files(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    path = tmp_path / "split.json"
    save_split(Split(("a",), ("c",), ("d",), seed=5), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=reason):
        load_split(path)


def test_what_is_no_split_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the split"):
        load_split(tmp_path / "missing.json")
    for content in (b"", b"{", b"\xff", b"[]"):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(DataError, match="not a split file"):
            load_split(tmp_path / "x.json")


def test_split_names_are_the_fields_of_a_split() -> None:
    assert tuple(Split.__slots__) == (*SPLIT_NAMES, "seed")
