from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgegenre.data.sources import open_dataset
from edgegenre.data.sources.folder import scan_folder
from edgegenre.data.split import split_tracks
from edgegenre_runtime.errors import DataError


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


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
        (["a.wav", "b.mp3"], "audio files \\(2\\) lie in the folder itself"),
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
