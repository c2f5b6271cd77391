from __future__ import annotations

from pathlib import Path

import pytest

from edgegenre.data.sources import open_dataset
from edgegenre.data.sources.manifest import read_manifest
from edgegenre_runtime.errors import DataError


def _manifest(folder: Path, text: str | bytes) -> Path:
    path = folder / "tracks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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


@pytest.mark.parametrize(
    ("name", "reason"),
    [("song.WAV", "is one audio file; give a folder"), ("music.npz", "is a feature cache, which has its split")],
)
def test_what_is_no_manifest_is_said_by_its_kind(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfb")
    with pytest.raises(DataError, match=reason):
        open_dataset(tmp_path / name)


def test_a_missing_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or CSV manifest"):
        open_dataset(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="cannot read the CSV file"):
        read_manifest(tmp_path / "missing.csv")
