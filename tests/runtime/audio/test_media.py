"""Files that libsndfile does not read, by PyAV, and what is said without it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from real_audio import FFMPEG, decoded_by_ffmpeg, encode, write_piece

from edgegenre_runtime.audio import media
from edgegenre_runtime.audio.files import audio_files, file_blocks
from edgegenre_runtime.audio.media import open_media
from edgegenre_runtime.errors import AudioError

CODECS = {
    "a.m4a": ["-c:a", "aac"],
    "lossless.m4a": ["-c:a", "alac"],
    "a.wma": ["-c:a", "wmav2"],
    "a.webm": ["-c:a", "libopus"],
    "a.wv": ["-c:a", "wavpack"],
    "a.mka": ["-c:a", "flac"],
    "a.mp2": ["-c:a", "mp2"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("media")
    piece = write_piece(folder / "piece.wav", 4.0)
    for name, options in CODECS.items():
        encode(piece, folder / name, "-ac", "2", "-ar", "48000", *options)
    return folder


@pytest.mark.parametrize("name", CODECS)
def test_the_samples_are_those_of_ffmpeg(folder: Path, name: str) -> None:
    sound = open_media((folder / name).open("rb"))
    samples = np.concatenate(list(sound.frames()))
    assert (sound.rate_hz, sound.channels, sound.findings.damages) == (48000, 2, [])
    assert np.array_equal(samples.reshape(-1), decoded_by_ffmpeg(folder / name))


def test_an_mp4_with_the_name_of_an_mp3_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes((folder / "a.m4a").read_bytes())
    assert sum(map(len, file_blocks(tmp_path / "a.mp3", 22050))) == pytest.approx(4 * 22050, abs=2)


def test_a_cut_file_says_so(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.mka").read_bytes()
    (tmp_path / "a.mka").write_bytes(data[: len(data) // 2])
    blocks = file_blocks(tmp_path / "a.mka", 22050)
    assert sum(map(len, blocks)) < 3 * 22050
    assert len(blocks.damages) == 1
    assert "truncated" in blocks.damages[0] or "damaged" in blocks.damages[0]


def test_damage_in_the_middle_costs_its_packets_alone(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "a.m4a").read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 3
    data[start : start + 3000] = bytes(3000)
    (tmp_path / "a.m4a").write_bytes(data)
    blocks = file_blocks(tmp_path / "a.m4a", 22050)
    n_samples = sum(map(len, blocks))
    assert 3 * 22050 < n_samples < 3.95 * 22050
    (said,) = blocks.damages
    assert re.fullmatch(
        rf"damaged: \d+ packets of it cannot be decoded; {n_samples / 22050:.1f} of 4\.0 s are there", said
    )


def test_a_long_m4a_that_is_cut_gives_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("av")
    piece = write_piece(tmp_path / "piece.wav", 30.0)
    path = encode(piece, tmp_path / "a.m4a", "-movflags", "+faststart")
    os.truncate(path, path.stat().st_size // 2)
    blocks = file_blocks(path, 22050)
    assert 12 * 22050 < sum(map(len, blocks)) < 18 * 22050
    (said,) = blocks.damages
    assert re.search(r"1\d\.\d of 30\.0 s are there$", said)


def test_a_film_without_sound_is_not_audio(tmp_path: Path) -> None:
    subprocess.run([*FFMPEG, "-f", "lavfi", "-i", "color=s=16x16:d=1", str(tmp_path / "a.mp4")], check=True)
    with pytest.raises(AudioError, match=r"a\.mp4: not audio that FFmpeg can read"):
        file_blocks(tmp_path / "a.mp4", 22050)


def test_without_pyav_the_extra_and_the_conversion_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgegenre_runtime.audio.files.has_media", lambda: False)
    (tmp_path / "my song.m4a").write_bytes(b"ftyp")
    with pytest.raises(AudioError, match=r"pip install 'edgegenre\[media\]', or convert the file: .*'my song.wav'$"):
        file_blocks(tmp_path / "my song.m4a", 22050)
    (tmp_path / "a.mp3").write_bytes(b"no audio" * 100)
    with pytest.raises(AudioError, match=r"not audio that libsndfile can read; if a player plays it, convert it: "):
        file_blocks(tmp_path / "a.mp3", 22050)


def test_has_media_looks_for_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not media.has_media()


def test_hidden_files_are_left_out_and_closed_folders_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.wav", "._a.wav", ".hidden/b.wav", "closed/c.wav", "open/d.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    said: list[AudioError] = []
    found = audio_files([tmp_path], said.append)
    assert [path.name for path in found] == ["a.wav", "d.wav"]
    assert [str(error) for error in said] == [f"{tmp_path}/closed: cannot be looked through (permission denied)"]
    with pytest.raises(AudioError, match="closed: cannot be looked through"):
        audio_files([tmp_path])
    with pytest.raises(AudioError, match="closed: cannot be looked through"):
        audio_files([tmp_path / "closed"], said.append)


def test_paths_that_cannot_be_looked_at_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300 + ".wav"), tmp_path / "a\0.wav", tmp_path / "gone.wav"):
        for call in (lambda path=path: audio_files([path]), lambda path=path: file_blocks(path, 22050)):
            with pytest.raises(AudioError):
                call()
