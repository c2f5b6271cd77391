from __future__ import annotations

import errno
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre.data.dataset import SPLIT_NAMES, Dataset, Track
from edgegenre.data.manifest import read_manifest
from edgegenre.data.sources import open_dataset, scan_folder
from edgegenre.data.split import Split, load_split, save_split, split_tracks
from edgegenre_runtime.errors import DataError, UsageError


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


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


def test_a_folder_of_folders(tmp_path: Path) -> None:
    _folder(
        tmp_path,
        "jazz/b.wav",
        "jazz/cd 1/a.MP3",
        "blues/x.au",
        "blues/.hidden.wav",
        "notes.txt",
        "top.wav",
        "rock/readme",
    )
    dataset = open_dataset(tmp_path)
    assert [t.name for t in dataset.tracks] == ["blues/x.au", "jazz/b.wav", "jazz/cd 1/a.MP3"]
    assert dataset.labels == ("blues", "jazz")
    assert [t.label for t in dataset.tracks] == ["blues", "jazz", "jazz"]
    assert all(t.group == t.name and t.path.is_file() for t in dataset.tracks)


def test_folders_of_a_split(tmp_path: Path) -> None:
    _folder(tmp_path, "Train/jazz/a.wav", "Train/rock/b.wav", "val/jazz/c.wav", "test/rock/cd 1/d.wav", "README/x.txt")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("jazz", "rock")
    assert [(t.name, t.label, t.split) for t in dataset.tracks] == [
        ("Train/jazz/a.wav", "jazz", "train"),
        ("Train/rock/b.wav", "rock", "train"),
        ("test/rock/cd 1/d.wav", "rock", "test"),
        ("val/jazz/c.wav", "jazz", "valid"),
    ]
    assert split_tracks(dataset, 0).valid == ("val/jazz/c.wav",)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["train/jazz/a.wav", "test/rock/b.wav"], "none for valid; all of train, valid, test are needed"),
        (["train/a.wav", "test/b.wav"], r"test/b\.wav lies in one of them; put one sub-folder per class"),
        (["a.wav", "b.mp3"], "2 audio files lie in the folder itself"),
        (["noise/a.wav", "rock/b.wav"], "a class cannot be called 'noise'.*silence, noise, uncertain"),
        (["silence/a.wav", "rock/b.wav"], "a class cannot be called 'silence'"),
        (["uncertain/a.wav", "rock/b.wav"], "a class cannot be called 'uncertain'"),
        (["hip\nhop/a.wav", "rock/b.wav"], r"a class cannot be called 'hip\\nhop'"),
        (["\x1b[31mred/a.wav", "rock/b.wav"], r"a class cannot be called '\\x1b\[31mred'"),
        ([" rock/a.wav", "rock/b.wav"], "a class cannot be called ' rock'"),
        ([os.fsdecode(b"caf\xe9/a.wav"), "rock/b.wav"], r"a class cannot be called 'caf\\xe9'"),
    ],
)
def test_folders_that_cannot_be_meant_so(tmp_path: Path, names: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        scan_folder(_folder(tmp_path, *names))
    str(caught.value).encode()


def test_a_class_called_train_among_others_is_a_class(tmp_path: Path) -> None:
    assert scan_folder(_folder(tmp_path, "train/a.wav", "plane/b.wav")).labels == ("plane", "train")


def test_names_that_are_not_utf8_are_escaped_and_their_files_found(tmp_path: Path) -> None:
    _folder(tmp_path, os.fsdecode(b"jazz/caf\xe9.wav"), "jazz/\x1b[2J.wav", "rock/a.wav")
    dataset = scan_folder(tmp_path)
    assert [t.name for t in dataset.tracks] == ["jazz/\\x1b[2J.wav", "jazz/caf\\xe9.wav", "rock/a.wav"]
    assert all(t.path.is_file() for t in dataset.tracks)
    _folder(tmp_path, "jazz/caf\\xe9.wav")
    with pytest.raises(DataError, match="is there twice"):
        scan_folder(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path, "jazz/a.wav", "rock/cd/b.wav")
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("cd"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"rock/cd: cannot read the folder \(permission denied\)"):
        scan_folder(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        open_dataset(tmp_path / name)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        scan_folder(tmp_path / "missing")
    with pytest.raises(DataError, match="no tracks found"):
        scan_folder(tmp_path)
    with pytest.raises(DataError, match="all 1 tracks are of class 'jazz'; two classes are needed"):
        scan_folder(_folder(tmp_path, "jazz/a.wav"))


def test_a_manifest(tmp_path: Path) -> None:
    text = (
        '\ufeffpath,label,group,extra\r\nb.wav,rock, Queen ,1\r\n\r\n"sub/a, b.wav",pop,,2\r\n/abs/c.wav,pop,ABBA,\r\n'
    )
    dataset = open_dataset(_manifest(tmp_path, text))
    assert [(t.name, t.label, t.group) for t in dataset.tracks] == [
        ("/abs/c.wav", "pop", "ABBA"),
        ("b.wav", "rock", "Queen"),
        ("sub/a, b.wav", "pop", "sub/a, b.wav"),
    ]
    assert dataset.tracks[1].path == tmp_path / "b.wav"
    assert dataset.tracks[0].path == Path("/abs/c.wav")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: missing column path, label"),
        ("path,genre\na.wav,x\n", "line 1: missing column label; found: path, genre; rename genre to label"),
        (
            "Filename,Class\na.wav,x\n",
            "missing column .*rename filename to path and rename class to label",
        ),
        ("path;label\na.wav;x\n", "line 1: .*its columns are separated by semicolons, save it with commas"),
        ("path\tlabel\na.wav\tx\n", "line 1: .*separated by tabs"),
        ("a.wav,x\nb.wav,y\n", r"found: a\.wav, x; the first line names the columns: path,label"),
        ("path,label,Path\na.wav,x,b\n", "line 1: column 'path' is there twice"),
        ("path,label\na.wav,x\nb.wav,noise\n", "a class cannot be called 'noise'"),
        ("path,label\na.wav,x\n".encode("utf-16"), "line 1: the file is UTF-16; save it as UTF-8"),
        ("path,label\na.wav,caf\xe9\n".encode("latin-1"), "line 2: the file is not UTF-8, perhaps Latin-1"),
        ("path,label\n", "no tracks"),
        ("path,label\na.wav,x\nb.wav,x\n", "two classes are needed"),
        ("path,label\na.wav,x\nb.wav,\n", "line 3: path and label must not be empty"),
        ("path,label\na.wav,x\nb.wav\n", "line 3: path and label must not be empty"),
        ("path,label\na.wav,x\n./sub/../a.wav,y\n", "line 3: .*a.wav is listed twice"),
        (
            "path,label,split\na.wav,x,train\nb.wav,y,dev\n",
            "line 3: unknown split 'dev'; allowed are train, valid, test",
        ),
        ("path,label\na.wav,x,y,z\n", "line 2: more values"),
        (b"path,label\na.wav,x\n\xff.wav,y\n", "line 3: the file is not UTF-8"),
        ('path,label\n"a.wav"b,x\n', "line 2: "),
        ("path,label\na\0.wav,x\n", "line 2: .*NUL"),
    ],
)
def test_bad_manifests_name_file_and_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = _manifest(tmp_path, text)
    with pytest.raises(DataError, match=reason) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_case_of_a_header_does_not_matter(tmp_path: Path) -> None:
    dataset = open_dataset(_manifest(tmp_path, "Path, LABEL ,Group\na.wav,x,A\nb.wav,y,B\n"))
    assert [(t.label, t.group) for t in dataset.tracks] == [("x", "A"), ("y", "B")]


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the CSV file"):
        open_dataset(tmp_path / "missing.csv")


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
        assert "groups; a split needs at least 3" in str(error)  # noqa: PT017
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
    with pytest.raises(DataError, match="class 'b' has 2 groups; a split needs at least 3 per class"):
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
