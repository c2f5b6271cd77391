"""Playlists: which tracks, and lines that a player finds the files by."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegenre.cli import main
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.library import Library
from edgegenre_runtime.library.playlists.m3u8 import format_playlist
from edgegenre_runtime.library.playlists.selection import journey, of_genre, similar
from edgegenre_runtime.library.records import Analysis, Track
from edgegenre_runtime.library.store import path_bytes

NAMES = ("blues", "jazz", "rock")


def add(library, path, angle, *, bundle="a", p=(0.1, 0.2, 0.7), content=None, silent=False):
    """Put a track of 100 s whose embedding lies at an angle in degrees in the plane."""
    described = {"name": bundle, "labels": list(NAMES), "embedding_dims": 2, "task": "single"}
    turn = np.radians(angle)
    library.put(
        path_bytes(path),
        Analysis(
            size=1,
            mtime_ns=1,
            content_hash=content or os.fsencode(path),
            duration_s=100.0,
            label=NAMES[int(np.argmax(p))],
            confidence=max(p),
            probabilities=np.array(p, np.float32),
            embedding=None if silent else np.array([3 * np.cos(turn), 3 * np.sin(turn)], np.float16),
            n_windows=3,
        ),
        library.add_bundle(bundle * 64, described),
        10,
    )


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "l.sqlite", create=True) as opened:
        for degrees in range(0, 91, 10):
            add(opened, tmp_path / "music" / f"{degrees:02}.mp3", degrees, p=(0.0, degrees / 100, 1 - degrees / 100))
        add(opened, tmp_path / "music" / "copy of 10.mp3", 10, content=os.fsencode(tmp_path / "music" / "10.mp3"))
        opened.commit()
        yield opened


def stems(tracks):
    return [track.path.stem for track in tracks]


def test_the_most_probable_tracks_of_a_genre_until_they_are_long_enough(library):
    assert stems(of_genre(library, "jazz", 0.6, 4.0)) == ["90", "80", "70"]
    assert stems(of_genre(library, "jazz", 0.75, 90.0)) == ["90", "80"]
    with pytest.raises(DataError, match=r"no track is blues with a probability of 0.6"):
        of_genre(library, "blues", 0.6, 90.0)
    with pytest.raises(UsageError, match="--genre polka: the bundle a knows blues, jazz, rock"):
        of_genre(library, "polka", 0.6, 90.0)
    with pytest.raises(UsageError, match="--min is a probability"):
        of_genre(library, "jazz", 60, 90.0)


def test_the_nearest_tracks_without_the_song_and_without_copies(library, tmp_path):
    assert stems(similar(library, tmp_path / "music" / "90.mp3", 3)) == ["80", "70", "60"]
    found = similar(library, tmp_path / "music" / "10.mp3", 50)
    assert set(stems(found[:2])) == {"00", "20"}
    assert len(found) == 9
    with pytest.raises(UsageError, match="at least 1 track"):
        similar(library, tmp_path / "music" / "10.mp3", 0)


def test_a_way_goes_in_small_steps_and_takes_no_track_twice(library, tmp_path):
    music = tmp_path / "music"
    way = stems(journey(library, music / "00.mp3", music / "90.mp3", 10))
    assert way[0] == "00"
    assert way[-1] == "90"
    assert len(set(way)) == 10
    assert way == sorted(way)
    with pytest.raises(UsageError, match="at least 3 tracks"):
        journey(library, music / "00.mp3", music / "90.mp3", 2)
    with pytest.raises(UsageError, match="at most 200 tracks"):
        journey(library, music / "00.mp3", music / "90.mp3", 10**9)


def test_songs_that_cannot_be_compared_are_refused(library, tmp_path):
    (tmp_path / "new.mp3").touch()
    with pytest.raises(DataError, match=r"is not in the library: run  edgegenre library scan \S*new.mp3 --db"):
        similar(library, tmp_path / "new.mp3", 3)
    with pytest.raises(DataError, match=r"none.mp3: there is no such file"):
        similar(library, tmp_path / "none.mp3", 3)
    add(library, tmp_path / "silent.wav", 0, silent=True)
    add(library, tmp_path / "later.wav", 0, bundle="b")
    with pytest.raises(DataError, match="so that nothing is similar to it"):
        similar(library, tmp_path / "silent.wav", 3)
    with pytest.raises(DataError, match="was scanned with another bundle than the rest"):
        similar(library, tmp_path / "music" / "10.mp3", 3)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_song_that_is_alone_is_refused(tmp_path, is_gone):
    song = tmp_path / "alone.mp3"
    with Library.open(tmp_path / "alone.sqlite", create=True) as library:
        add(library, song, 10)
        if is_gone:
            library.mark_gone([path_bytes(tmp_path)])
        with pytest.raises(DataError, match="there is no other track than"):
            similar(library, song, 3)


def track_at(path):
    return Track(
        id=1, path=Path(path), is_gone=False, bundle=None, max_windows=0, analysis=Analysis(1, 1, duration_s=61.4)
    )


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=20)


@given(st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4))
def test_every_line_leads_to_its_file_or_is_reported(parts):
    path = Path("/library", *parts)
    text, left_out = format_playlist([track_at(path)], Path("/library/lists"))
    try:
        str(path).encode()
        is_writable = not set(str(path)) & {"\n", "\r"}
    except UnicodeEncodeError:
        is_writable = False
    assert left_out == ([] if is_writable else [path])
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == ""
    if is_writable:
        assert len(lines) == 4
        assert lines[1] == f"#EXTINF:61,{path.stem}"
        assert not lines[2].startswith(("#", " ", "/"))
        assert os.path.normpath(os.path.join("/library/lists", lines[2])) == os.path.normpath(path)


def test_the_commands(library, tmp_path, capsys):
    db, out, music = str(library.path), tmp_path / "list.m3u8", tmp_path / "music"
    add(library, music / "two\nlines.mp3", 0, p=(0.0, 1.0, 0.0))
    library.commit()
    assert main(["library", "playlist", "--db", db, "--genre", "jazz", "--minutes", "5", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 2 tracks, 5 minutes\n"
    assert "two\\nlines.mp3: a playlist cannot hold this name" in said.err
    assert out.read_text() == "#EXTM3U\n#EXTINF:100,90\nmusic/90.mp3\n#EXTINF:100,80\nmusic/80.mp3\n"
    assert main(["library", "similar", str(music / "90.mp3"), "--db", db, "-n", "1", "--out", str(out)]) == 0
    assert out.read_text().splitlines()[2] == "music/80.mp3"
    ends = [str(music / "00.mp3"), str(music / "90.mp3")]
    assert main(["library", "path", *ends, "--db", db, "-n", "4", "--out", str(out)]) == 0
    assert out.read_text().splitlines()[2::2] == ["music/00.mp3", "music/30.mp3", "music/60.mp3", "music/90.mp3"]
    assert main(["library", "playlist", "--db", db, "--genre", "jazz", "--out", str(tmp_path / "x.txt")]) == 2
    assert main(["library", "similar", "new.mp3", "--db", db, "--out", str(tmp_path / "no" / "x.m3u8")]) == 2
