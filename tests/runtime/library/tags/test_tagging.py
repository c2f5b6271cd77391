"""Genre tags in every container: the audio stays what it was to the bit, and everything can be taken back."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import mutagen
import numpy as np
import pytest
from real_audio import decoded_by_ffmpeg, encode, write_piece

from edgegenre.cli import main
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library import Analysis, Library
from edgegenre_runtime.library.store import path_bytes
from edgegenre_runtime.library.tags import tagging
from edgegenre_runtime.library.tags.genre_words import read_word_map
from edgegenre_runtime.library.tags.tag_formats import read_genre, write_genre
from edgegenre_runtime.library.tags.tagging import TagOptions, tag_library, undo_tags

ONE = {"name": "b", "labels": ["blues", "hiphop"], "embedding_dims": 3}
SEVERAL = {**ONE, "task": "multi", "thresholds": {"blues": 0.5, "hiphop": 0.5}}
TREE = {
    **ONE,
    "labels": ["pop", "rock/punk", "rock/surf"],
    "task": "hierarchy",
    "thresholds": {"level 1": 0.5, "level 2": 0.5},
}
FILES = {
    "v23.mp3": ["-id3v2_version", "3"],
    "v24.mp3": ["-id3v2_version", "4", "-write_id3v1", "1"],
    "bare.mp3": ["-map_metadata", "-1", "-id3v2_version", "0", "-write_xing", "0"],
    "a.aiff": ["-write_id3v2", "1"],
    "a.wav": [],
    "a.flac": [],
    "a.ogg": ["-c:a", "libvorbis"],
    "a.opus": ["-ar", "48000"],
    "a.m4a": [],
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A piece in every container, with a title and a genre of its owner's."""
    folder = tmp_path_factory.mktemp("encoded")
    piece = write_piece(folder / "piece.wav", 3.0)
    for name, options in FILES.items():
        encode(piece, folder / name, "-metadata", "title=Ä song", "-metadata", "genre=Schlager", *options)
    return folder


@pytest.fixture
def song(encoded, tmp_path):
    (tmp_path / "song.mp3").write_bytes((encoded / "v23.mp3").read_bytes())
    return tmp_path / "song.mp3"


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "l.sqlite", create=True) as opened:
        yield opened


def add(library, path, description=ONE, probabilities=(0.2, 0.8), genres=("hiphop",)):
    status = os.stat(path)
    analysis = Analysis(
        status.st_size,
        status.st_mtime_ns,
        b"h" * 32,
        label=genres[-1],
        genres=genres,
        probabilities=np.array(probabilities, np.float32),
        embedding=np.ones(3, np.float16),
    )
    library.put(path_bytes(path), analysis, library.add_bundle(str(description["labels"]), description), 0)
    library.commit()


def pcm(path):
    return hashlib.sha256(decoded_by_ffmpeg(path).tobytes()).hexdigest()


def write(library, **options):
    return list(tag_library(library, TagOptions(is_written=True, **options)))


@pytest.mark.parametrize("name", FILES)
def test_the_audio_is_the_same_and_the_tag_goes_back(encoded, tmp_path, library, name):
    path = tmp_path / name
    path.write_bytes((encoded / name).read_bytes())
    before, sound = read_genre(str(path)), pcm(path)
    add(library, path)
    (found,) = write(library, words={"hiphop": ("Hip-Hop", "Räp")})
    assert (found.error, found.before, found.after) == (None, before, ("Hip-Hop", "Räp"))
    assert "/".join(read_genre(str(path))) == "Hip-Hop/Räp"
    assert pcm(path) == sound
    if name == "a.wav":
        assert b"INAM" in path.read_bytes()  # FFmpeg writes RIFF's own tags, which stay
    elif name != "bare.mp3":
        assert "Ä song" in mutagen.File(path).tags.pprint()
    assert write(library, words={"hiphop": ("Hip-Hop", "Räp")}) == []
    track = library.track(path)
    assert (track.analysis.size, track.analysis.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert track.analysis.content_hash == hashlib.sha256(path.read_bytes()).digest()
    (back,) = undo_tags(library)
    assert (back.error, read_genre(str(path))) == (None, before)
    assert pcm(path) == sound
    assert list(undo_tags(library)) == []
    assert sorted(p.name for p in tmp_path.iterdir() if "sqlite" not in p.name) == [name]


def test_damaged_files_are_one_line_or_written_right(encoded, tmp_path):
    rng, refused = np.random.default_rng(4), []
    for name in FILES:
        content = (encoded / name).read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            for at in rng.integers(0, min(len(content), 600), 4):
                damaged[at] = rng.integers(256)
            path = tmp_path / name
            path.write_bytes(damaged[: rng.integers(1, len(damaged))] if rng.random() < 0.3 else damaged)
            try:
                read_genre(str(path))
                write_genre(str(path), str(path), ["Jazz"])
            except DataError as error:
                refused.append(str(error).removeprefix(str(tmp_path)))
            else:
                assert read_genre(str(path)) == ("Jazz",)
    assert len(refused) > 20
    assert not [said for said in refused if "\n" in said or not said.startswith(("/a.", "/v2", "/bare."))]


def test_frames_of_old_and_new_id3_keep_their_version(encoded, tmp_path):
    for name, version in (("v23.mp3", (2, 3, 0)), ("v24.mp3", (2, 4, 0)), ("bare.mp3", (2, 4, 0))):
        path = tmp_path / name
        path.write_bytes((encoded / name).read_bytes())
        write_genre(str(path), str(path), ["Jazz"])
        assert mutagen.File(path).tags.version == version
    assert (tmp_path / "v24.mp3").read_bytes()[-128:-125] == b"TAG"
    assert (tmp_path / "v24.mp3").read_bytes()[-1] == 8  # jazz in ID3v1


def test_without_write_nothing_is_changed(library, song):
    content = song.read_bytes()
    add(library, song)
    (found,) = tag_library(library, TagOptions())
    assert (found.before, found.after) == (("Schlager",), ("hiphop",))
    assert song.read_bytes() == content
    assert library.changes() == []


def test_only_missing_confidence_and_paths(library, song, encoded, tmp_path):
    bare = tmp_path / "sub" / "bare.mp3"
    bare.parent.mkdir()
    bare.write_bytes((encoded / "bare.mp3").read_bytes())
    add(library, song)
    add(library, bare)
    assert [t.path for t in tag_library(library, TagOptions(only_missing=True))] == [bare]
    assert [t.path for t in tag_library(library, TagOptions(roots=[bare.parent]))] == [bare]
    assert list(tag_library(library, TagOptions(min_confidence=0.81))) == []
    assert len(list(tag_library(library, TagOptions(min_confidence=0.79)))) == 2
    assert list(tag_library(library, TagOptions(words={"hiphop": ()}))) == []


@pytest.mark.parametrize(
    ("description", "probabilities", "genres", "least", "words"),
    [
        (SEVERAL, (0.7, 0.9), ("hiphop", "blues"), 0.0, ("hiphop", "blues")),
        (SEVERAL, (0.7, 0.9), ("hiphop", "blues"), 0.8, ("hiphop",)),
        (TREE, (0.1, 0.9, 0.8, 0.1), ("rock", "rock/punk"), 0.0, ("punk",)),
        (TREE, (0.1, 0.9, 0.6, 0.3), ("rock", "rock/punk"), 0.7, ("rock",)),
        (TREE, (0.3, 0.6, 0.3, 0.3), ("rock",), 0.0, ("rock",)),
        (ONE, (0.5, 0.5), (), 0.0, None),
    ],
)
def test_which_genres_a_bundle_gives(library, song, description, probabilities, genres, least, words):
    add(library, song, description, probabilities, genres or ("uncertain",))
    if not genres:
        library._db.execute("UPDATE tracks SET genres = '[]'")
    found = list(tag_library(library, TagOptions(min_confidence=least)))
    assert [t.after for t in found] == ([] if words is None else [words])


def test_permissions_time_and_links_stay(library, song, tmp_path):
    song.chmod(0o640)
    os.utime(song, ns=(10**18, 10**18))
    link = tmp_path / "link.mp3"
    link.symlink_to(song)
    add(library, link)
    assert write(library, keep_mtime=True)[0].error is None
    assert link.is_symlink()
    assert (song.stat().st_mode & 0o777, song.stat().st_mtime_ns) == (0o640, 10**18)
    assert read_genre(str(song)) == ("hiphop",)
    assert next(iter(undo_tags(library))).error is None
    assert song.stat().st_mtime_ns > 10**18


def test_files_that_cannot_be_written_are_left_alone_and_the_others_are_done(library, encoded, tmp_path):
    names = ["changed", "fine", "gone", "linked", "locked", "readonly", "wrong", "kind"]
    paths = {name: tmp_path / f"{name}.mp3" for name in names}
    for path in paths.values():
        path.write_bytes((encoded / "v23.mp3").read_bytes())
    paths["wrong"].write_bytes(b"no audio at all" * 10)
    paths["readonly"].chmod(0o444)
    os.link(paths["linked"], tmp_path / "other")
    encode(paths["fine"], tmp_path / "kind.wma")
    paths["kind"] = tmp_path / "kind.wma"
    for path in paths.values():
        add(library, path)
    paths["gone"].unlink()
    paths["changed"].write_bytes(b"something else")
    with paths["locked"].open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        dry = {tagged.error.split(": ")[1] if tagged.error else "" for tagged in tag_library(library, TagOptions())}
        found = {tagged.error.split(": ")[1] if tagged.error else "" for tagged in write(library)}
    assert dry == found  # a dry run names what a run would leave alone
    assert found == {
        "",
        "has changed since the scan",
        "no such file or directory",
        "has 2 names (hard links), of which one would change",
        "is locked by another program",
        "is read-only",
        "its tags cannot be read (can't sync to mpeg frame)",
        "tags are written into MP3, AIFF, WAV, FLAC, Ogg Vorbis, Opus and M4A, not into this kind of file",
    }
    assert read_genre(str(paths["fine"])) == ("hiphop",)
    assert read_genre(str(paths["readonly"])) == ("Schlager",)
    assert [change.path for change in library.changes()] == [paths["fine"]]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_what_the_owner_changed_since_is_not_undone(library, song):
    add(library, song)
    write(library)
    write_genre(str(song), str(song), ["Mine"])
    (found,) = undo_tags(library)
    assert found.error == f"{song}: its genre was changed since, to Mine: left alone"
    assert read_genre(str(song)) == ("Mine",)


def test_undo_goes_on_where_files_are_gone_broken_or_closed(library, encoded, tmp_path, monkeypatch):
    paths = {name: tmp_path / f"{name}.mp3" for name in ("Gone", "Broken", "closed", "fine")}
    for path in paths.values():
        path.write_bytes((encoded / "v23.mp3").read_bytes())
        add(library, path)
    write(library)
    paths["Gone"].unlink()
    paths["Broken"].write_bytes(b"no audio at all" * 10)
    real = tagging.read_genre

    def refuse(name):
        if name.endswith("closed.mp3"):
            raise PermissionError(13, "Permission denied")
        return real(name)

    monkeypatch.setattr(tagging, "read_genre", refuse)
    found = {Path(tagged.path).stem: tagged.error for tagged in undo_tags(library)}
    assert found == {
        "Gone": f"{paths['Gone']}: is not there; if it was moved, scan its new folder first",
        "Broken": f"{paths['Broken']}: its tags cannot be read (can't sync to mpeg frame)",
        "closed": f"{paths['closed']}: permission denied",
        "fine": None,
    }
    assert len(library.changes()) == 3


def test_a_reason_does_not_repeat_the_path(tmp_path):
    with pytest.raises(DataError) as caught:
        read_genre(str(tmp_path / "A.mp3"))
    assert str(caught.value) == f"{tmp_path / 'A.mp3'}: its tags cannot be read (no such file or directory)"


def test_paths_that_name_nothing_are_refused(capsys, library, song, tmp_path):
    add(library, song)
    db = str(library.path)
    for command in (["tag"], ["tag", "--write"], ["undo"]):
        for below in (song, tmp_path, f"{tmp_path}/"):
            assert main(["library", *command, str(below), "--db", db]) == 0
        capsys.readouterr()
        assert main(["library", *command, str(song), f"{song}x", "--db", db]) == 2
        said = f"edgegenre: {db}: has no track {song}x, and none below a folder of that name\n"
        assert capsys.readouterr() == ("", said)
    assert read_genre(str(song)) == ("Schlager",)


def test_undo_after_two_changes_gives_the_first_back(library, song):
    add(library, song)
    write(library)
    write(library, words={"hiphop": ("Rap",)})
    assert read_genre(str(song)) == ("Rap",)
    assert [t.after for t in undo_tags(library)] == [("Schlager",)]
    assert read_genre(str(song)) == ("Schlager",)


def test_a_kill_at_the_worst_moment_leaves_a_whole_file_that_can_be_undone(song, tmp_path):
    """The process dies after the file took its new place and before the database heard of it."""
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        add(library, song)
    code = (
        "import os, sys\nfrom edgegenre_runtime.library import Library\n"
        "from edgegenre_runtime.library.tags import tagging\n"
        "tagging._know_again = lambda *_: os._exit(9)\n"
        "list(tagging.tag_library(Library.open(sys.argv[1]), tagging.TagOptions(is_written=True)))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "l.sqlite"], check=False, timeout=60)
    assert done.returncode == 9
    assert read_genre(str(song)) == ("hiphop",)
    with Library.open(tmp_path / "l.sqlite") as library:
        assert next(iter(undo_tags(library))).error is None
    assert read_genre(str(song)) == ("Schlager",)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    song = write_piece(tmp_path / "song.wav", 30.0)
    content = song.read_bytes()
    with Library.open(tmp_path / "l.sqlite", create=True) as library:
        add(library, song)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()),) * 2)\n"
        "from edgegenre.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["library", "tag", "--db", tmp_path / "l.sqlite", "--write", "500000"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == f"{song}: cannot write (file too large)\n"
    assert done.stdout.endswith("0 files tagged, 1 left alone\n")
    assert song.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.sqlite", "l.sqlite.lock", "song.wav"]


def test_word_maps(tmp_path):
    known = ["blues", "hiphop"]
    toml, rows = tmp_path / "m.toml", tmp_path / "m.csv"
    toml.write_text('blues = "Blues"\nhiphop = ["Hip-Hop", "Rap"]\n')
    rows.write_text("\ufeffblues, Blues\n\nhiphop,Hip-Hop,Rap\n", "utf-8")
    expected = {"blues": ("Blues",), "hiphop": ("Hip-Hop", "Rap")}
    assert read_word_map(toml, known) == read_word_map(rows, known) == expected
    for name, content, said in (
        ("a.toml", "blues = 3", "blues is neither a word nor a list of words"),
        ("b.toml", "blues =", "no map of genres"),
        ("c.toml", 'Blues = "x"', "the bundle has no class 'Blues'; it has: blues, hiphop"),
        ("d.csv", "blues", "a row has one cell alone"),
        ("e.csv", "blues,a\x07", "is not printable"),
        ("f.csv", "blues,caf\xe9", "no map of genres"),
        ("g.csv", 'blues,"a', "no map of genres (unexpected end of data)"),
        ("h.csv", "blues,a\nhiphop,b\nblues,c", "a class has two rows"),
        ("none.csv", None, "cannot be read (no such file or directory)"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content.encode("latin-1"))
        with pytest.raises(DataError) as caught:
            read_word_map(tmp_path / name, known)
        assert said in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_the_commands(capsys, library, song):
    add(library, song)
    db = str(library.path)
    assert main(["library", "tag", "--db", db]) == 0
    assert capsys.readouterr().out == f"{song}: Schlager -> hiphop\n{db}: 1 files would be tagged; --write does it\n"
    assert main(["library", "tag", "--db", db, "--write"]) == 0
    assert capsys.readouterr().out == f"{song}: Schlager -> hiphop\n{db}: 1 files tagged\n"
    assert main(["library", "undo", "--db", db]) == 0
    assert capsys.readouterr().out == f"{song}: hiphop -> Schlager\n{db}: 1 files as they were\n"
    assert main(["library", "tag", "--db", db, "--write", "--dry-run"]) == 2
    assert "choose one" in capsys.readouterr().err


def test_without_mutagen_the_command_says_what_to_install(capsys, monkeypatch, library):
    monkeypatch.setitem(sys.modules, "mutagen", None)
    for command in ("tag", "undo"):
        assert main(["library", command, "--db", str(library.path)]) == 2
        assert "pip install 'edgegenre[library]'" in capsys.readouterr().err


def test_a_library_that_is_not_there(capsys, tmp_path):
    for command in ("tag", "undo"):
        assert main(["library", command, "--db", str(Path(tmp_path, "none.sqlite"))]) == 2
        assert "there is no such library" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_name_as_long_as_names_can_be(library, song, letter):
    long = song.with_name(letter * ((255 - 4) // len(letter.encode())) + ".mp3")
    song.rename(long)
    add(library, long)
    assert [tagged.error for tagged in write(library)] == [None]
    assert read_genre(str(long)) == ("hiphop",)
