"""FMA's table and folders, in small; and the way from there to figures on another data set's labels."""

import csv
import json
import shutil

import pytest

from edgegenre.cli import main
from edgegenre.data.sources.fma import read_fma
from edgegenre.data.sources.manifest import read_manifest, write_manifest
from edgegenre_runtime.errors import DataError

HEADS = [
    ["", "album", "artist", "artist", "set", "set", "track", "track"],
    ["", "title", "id", "name", "split", "subset", "genre_top", "title"],
    ["track_id", "", "", "", "", "", "", ""],
]
SPLITS = ["training", "training", "validation", "test"]


def fma(folder, rows, audio=()):
    with (folder / "tracks.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([*HEADS, *rows])
    for track, source in audio:
        path = folder / "fma_small" / f"{track:06d}"[:3] / f"{track:06d}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        if source is None:
            path.write_bytes(b"")
        else:
            shutil.copy(source, path)
    (folder / "fma_small").mkdir(exist_ok=True)
    return folder / "tracks.csv", folder / "fma_small"


def row(track, part, genre, artist="Somebody, the\nsecond"):
    return [track, "An album", 1, artist, part, "small", genre, 'A "title", so']


def test_tracks_with_genre_and_file(tmp_path):
    rows = [
        row(2, "training", "Hip-Hop"),
        row(5, "validation", "Rock", ""),
        row(10, "test", ""),
        row(20, "test", "Rock"),
        row(134_000, "test", "Folk", "Ä"),
    ]
    dataset = read_fma(*fma(tmp_path, rows, [(2, None), (5, None), (10, None), (134_000, None)]))
    assert dataset.labels == ("Folk", "Hip-Hop", "Rock")
    found = [(t.name, t.label, t.group, t.split) for t in dataset.tracks]
    assert found == [
        ("000/000002.mp3", "Hip-Hop", "Somebody, the\nsecond", "train"),
        ("000/000005.mp3", "Rock", "000005", "valid"),
        ("134/134000.mp3", "Folk", "Ä", "test"),
    ]
    write_manifest(dataset, tmp_path / "m.csv")
    again = read_manifest(tmp_path / "m.csv")
    assert [(t.path, t.label, t.group, t.split) for t in again.tracks] == [
        (t.path, t.label, t.group, t.split) for t in dataset.tracks
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "lacks set/split, track/genre_top, artist/name"),
        ("path,label\na.wav,x\n", "not FMA's tracks.csv"),
        ("\xff\xfe", "not UTF-8"),
    ],
)
def test_another_table(tmp_path, content, says):
    path, audio = fma(tmp_path, [])
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=says):
        read_fma(path, audio)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("x", "test", "Rock")], "line 5: track 'x'"),
        ([row("9" * 5000, "test", "Rock")], "line 5: track '9999"),
        ([row(2, "train", "Rock")], "in 'train'"),
        ([row(2, "test", "Rock")[:-1]], "7 values, not 8"),
        ([row(2, "test", "Rock"), row(2, "test", "Folk")], "twice"),
        ([row(2, "test", "Rock")], "1 files of 1 genres"),
        ([], "0 files of 0 genres"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, rows, says):
    with pytest.raises(DataError, match=says):
        read_fma(*fma(tmp_path, rows, [(2, None)]))


def test_no_folder_and_no_table(tmp_path):
    path, audio = fma(tmp_path, [])
    with pytest.raises(DataError, match="is not a folder"):
        read_fma(path, tmp_path / "none")
    with pytest.raises(DataError, match="cannot read the table"):
        read_fma(tmp_path / "none.csv", audio)


def test_from_fma_to_figures_with_a_label_map(tmp_path, toy_folder, small_checkpoints, capsys):
    rows, audio = [], []
    for g, (genre, style) in enumerate((("Blues", "blues"), ("Jazz", "jazz"), ("Spoken", "pop"))):
        for i, part in enumerate(SPLITS):
            rows.append(row(10 * g + i, part, genre, f"artist {g} {i}"))
            audio.append((10 * g + i, toy_folder / style / f"{style}.0000{i}.wav"))
    table, folder = map(str, fma(tmp_path, rows, audio))
    manifest, cache, label_map = (str(tmp_path / name) for name in ("m.csv", "fma.npz", "map.json"))
    assert main(["data", "fma", table, folder, "--out", manifest]) == 0
    assert "12 tracks, 3 classes: Blues, Jazz, Spoken" in capsys.readouterr().out
    assert main(["data", "prepare", manifest, "--out", cache]) == 0
    (tmp_path / "map.json").write_text(json.dumps({"Blues": "blues", "Jazz": "jazz"}))
    capsys.readouterr()
    model = str(small_checkpoints[0])
    assert main(["evaluate", model, cache, "--part", "all", "--map", label_map, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n_tracks"], figures["dropped_tracks"]) == (8, 4)
    assert main(["evaluate", model, cache]) == 2
    assert "label map" in capsys.readouterr().err
