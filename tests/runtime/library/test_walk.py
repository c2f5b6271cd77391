"""Which files belong to a library: each once, whatever links and names there are."""

import os

import pytest

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library.walk import check_roots, find_files


def walk(*roots):
    said = []
    found = [file.path for file in find_files(check_roots(roots), said.append)]
    return found, said


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return os.fsencode(path)


def test_links_in_circles_end_and_nothing_comes_twice(tmp_path):
    music, outside = tmp_path / "music", tmp_path / "outside"
    files = [touch(music / "a" / "1.mp3"), touch(music / "b" / "2.FLAC")]
    touch(outside / "3.ogg")
    (music / "a" / "circle").symlink_to(music)
    (music / "b" / "same.flac").symlink_to(music / "b" / "2.FLAC")
    (music / "dangling.mp3").symlink_to(tmp_path / "none.mp3")
    (music / "self.mp3").symlink_to(music / "self.mp3")
    (music / "more").symlink_to(outside)
    (outside / "back").symlink_to(outside)
    found, said = walk(music)
    assert found == [*files, os.fsencode(music / "more" / "3.ogg")]
    assert said == []
    assert walk(music, music / "a")[0] == found
    assert walk(outside, music)[0][0] == os.fsencode(outside / "3.ogg")
    one = music / "a" / "1.mp3"
    assert sorted(walk(music, one, one)[0]) == sorted(walk(one, music)[0]) == sorted(found)


def test_hidden_files_other_files_and_pipes_are_left_out(tmp_path):
    wanted = touch(tmp_path / "x.wav")
    for name in (".y.wav", ".trash/z.wav", "cover.jpg", "list.m3u8"):
        touch(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.wav")
    assert walk(tmp_path) == ([wanted], [])


def test_names_that_are_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/a\xff\n.mp3", "wb") as file:
        file.write(b"x")
    assert walk(tmp_path)[0] == [folder + b"/a\xff\n.mp3"]


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone: there is no such folder or file; is the drive mounted\?"):
        walk(tmp_path, tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.mp3")
    assert walk(tmp_path)[0] == []
    for path in (tmp_path / "pipe.mp3", os.devnull):
        with pytest.raises(DataError, match="is no folder and no regular file"):
            walk(tmp_path, path)


def test_a_folder_that_is_closed_is_said(tmp_path, monkeypatch):
    wanted = touch(tmp_path / "b" / "x.wav")
    touch(tmp_path / "a" / "y.wav")
    real = os.scandir

    def scandir(path):
        if path.endswith(b"/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert walk(tmp_path) == ([wanted], [f"{tmp_path}/a: cannot be looked through (permission denied)"])
