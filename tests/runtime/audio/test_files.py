from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.audio.files import EXTENSIONS, audio_files, file_blocks
from edgegenre_runtime.errors import AudioError


def _music(n_samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 2000, (n_samples, channels))
    return np.cumsum(noise - noise.mean(axis=0), axis=0).clip(-30000, 30000).astype(np.int16)


def _read(path: Path, out_rate_hz: int = 22050) -> np.ndarray:
    return np.concatenate(list(file_blocks(path, out_rate_hz)))


@pytest.mark.parametrize("extension", ["aiff", "au", "flac", "wav"])
def test_int16_files_come_out_bit_for_bit(tmp_path: Path, extension: str) -> None:
    pcm = _music(40_001)[:, 0]
    path = tmp_path / f"song.{extension}"
    soundfile.write(path, pcm, 22050, subtype="PCM_16")
    blocks = file_blocks(path, 22050)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), pcm)
    assert blocks.warnings == []


@pytest.mark.parametrize("extension", ["mp3", "ogg"])
def test_lossy_files_come_close(tmp_path: Path, extension: str) -> None:
    t = np.arange(44100) / 44100
    soundfile.write(tmp_path / f"a.{extension}", 0.5 * np.sin(2 * np.pi * 440 * t), 44100)
    blocks = file_blocks(tmp_path / f"a.{extension}", 22050)
    pcm = np.concatenate(list(blocks))
    assert abs(pcm.size - 22050) <= 1
    assert blocks.warnings == []
    wanted = 16384 * np.sin(2 * np.pi * 440 * np.arange(pcm.size) / 22050)
    assert np.abs(pcm - wanted)[3000:-3000].max() < 400


def test_an_mp3_is_read_without_seeking(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, _music(100_000), 22050)
    with soundfile.SoundFile(path) as whole:
        wanted = np.rint(whole.read(dtype="float32") * 32768).clip(-32768, 32767)
    assert np.abs(_read(path)[:16384] - wanted[:16384]).max() <= 1  # seeking changes bits after the first block
    assert _read(path).size == wanted.size


@pytest.mark.parametrize(("subtype", "tolerance"), [("PCM_U8", 256), ("PCM_24", 0), ("PCM_32", 0), ("FLOAT", 0)])
def test_sample_widths(tmp_path: Path, subtype: str, tolerance: int) -> None:
    pcm = _music(5000)[:, 0]
    soundfile.write(tmp_path / "a.wav", pcm / 32768, 22050, subtype=subtype)
    assert np.abs(_read(tmp_path / "a.wav").astype(int) - pcm).max() <= tolerance


def test_96_khz_and_six_channels_are_legal(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.repeat(_music(96000), 6, axis=1), 96000, subtype="PCM_24")
    assert _read(tmp_path / "a.wav").size == 22050


@pytest.mark.parametrize("extension", ["au", "aiff", "flac", "mp3", "ogg", "wav"])
def test_a_truncated_file_gives_what_is_there_and_a_warning(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, _music(100_000), 22050)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    blocks = file_blocks(path, 22050)
    n_samples = sum(len(block) for block in blocks)
    assert 20_000 < n_samples < 90_000
    assert len(blocks.warnings) == 1
    assert "truncated" in blocks.warnings[0] or "damaged after" in blocks.warnings[0]


def test_a_wav_that_was_piped_is_not_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, _music(1000), 22050)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    blocks = file_blocks(path, 22050)
    assert sum(len(block) for block in blocks) == 1000
    assert blocks.warnings == []


def test_nan_is_counted(tmp_path: Path) -> None:
    samples = np.zeros(100, np.float32)
    samples[[3, 50]] = np.nan, np.inf
    soundfile.write(tmp_path / "a.wav", samples, 22050, subtype="FLOAT")
    blocks = file_blocks(tmp_path / "a.wav", 22050)
    assert not np.concatenate(list(blocks)).any()
    assert blocks.warnings == ["2 samples are NaN or infinite"]


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("content", [b"", b"This is not music.\n" * 50], ids=["empty", "text"])
def test_what_is_not_audio_is_one_line(tmp_path: Path, extension: str, content: bytes) -> None:
    path = tmp_path / f"song{extension}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"song.*(the file is empty|not audio)") as caught:
        file_blocks(path, 22050)
    assert "\n" not in str(caught.value)


def test_other_bad_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "zero.wav", np.zeros(0, np.int16), 22050)
    soundfile.write(tmp_path / "slow.wav", np.zeros(50, np.int16), 500)
    (tmp_path / "song.txt").write_bytes(b"1234")
    (tmp_path / "nameless").write_bytes(b"1234")
    (tmp_path / "junk.wav").write_bytes(b"junk")
    (tmp_path / "folder.wav").mkdir()
    for name, reason in [
        ("junk.wav", r"ffmpeg -i .*junk.wav junk.flac$"),
        ("zero.wav", "contains no audio"),
        ("slow.wav", "500 Hz is out of range"),
        ("song.txt", r"unknown extension '.txt'; allowed are .3gp .* ffmpeg -i .*song.txt song.wav"),
        ("song", "no such file"),
        ("nameless", "unknown extension '.none.'"),
        ("missing.wav", "no such file"),
        ("folder.wav", "is a directory"),
    ]:
        with pytest.raises(AudioError, match=reason) as caught:
            _read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_name_that_begins_with_a_dash_is_no_option_of_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-my song.xyz").write_bytes(b"1234")
    with pytest.raises(AudioError, match=r"ffmpeg -i './-my song.xyz' './-my song.wav'$"):
        _read(Path("-my song.xyz"))


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=400), extension=st.sampled_from(EXTENSIONS))
def test_garbage_never_gives_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, extension: str
) -> None:
    path = tmp_path_factory.mktemp("garbage") / f"a{extension}"
    path.write_bytes((b"RIFF" if extension == ".wav" else b"") + data)
    with contextlib.suppress(AudioError):
        _read(path)


def test_memory_stays_flat(tmp_path: Path) -> None:
    peaks = []
    for minutes in (1, 4):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.zeros(minutes * 60 * 44100, np.int16), 44100)
        tracemalloc.start()
        for _ in file_blocks(path, 22050):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 + 10_000
    assert peaks[1] < 2_000_000


def test_directories_are_expanded_in_order(tmp_path: Path) -> None:
    for name in ("b/2.MP3", "b/1.wav", "b/c/0.flac", "b/notes.txt", "a.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    found = audio_files([tmp_path / "b", tmp_path / "a.ogg"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/1.wav", "b/2.MP3", "b/c/0.flac", "a.ogg"]


def test_nothing_to_expand(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="directory without audio"):
        audio_files([tmp_path])
    with pytest.raises(AudioError, match="no such file or directory"):
        audio_files([tmp_path / "missing"])
