"""Every file is read to its real end, whatever its container estimates or promises."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from real_audio import FFMPEG, encode, write_piece

from edgegenre.data.clips import read_clip
from edgegenre_runtime.audio import byte_ranges, native_passes
from edgegenre_runtime.audio.byte_ranges import ByteRanges, FileBytes
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.audio.mp3_frames import scan_mp3
from edgegenre_runtime.audio.raw_pcm import raw_blocks

RATE_HZ = 22050
SECONDS = 6.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    piece = write_piece(folder / "piece.wav", SECONDS)
    encode(piece, folder / "xing.mp3", "-q:a", "4")
    plain = ["-ar", "44100", "-ac", "2", "-write_xing", "0"]
    encode(piece, folder / "vbr.mp3", "-q:a", "2", *plain, "-id3v2_version", "0", repeat=9)
    encode(piece, folder / "low.mp3", "-b:a", "8k", "-ar", "11025", "-write_xing", "0", repeat=1)
    for name, codec in (("ogg", "libvorbis"), ("opus", "libopus"), ("flac", "flac")):
        encode(piece, folder / f"one.{name}", "-c:a", codec)
    return folder


def read(path: Path) -> tuple[float, list[str]]:
    """Return the seconds that are read, and what is said about them."""
    blocks = file_blocks(path, RATE_HZ)
    return sum(map(len, blocks)) / RATE_HZ, blocks.warnings


def test_an_mp3_without_a_xing_header_is_read_to_its_end(folder: Path) -> None:
    for name, seconds in (("vbr.mp3", 10 * SECONDS), ("low.mp3", 2 * SECONDS)):
        found, said = read(folder / name)
        assert said == []
        assert found == pytest.approx(seconds, abs=0.2)


def test_a_picture_before_a_constant_bitrate_mp3_is_not_audio(folder: Path, tmp_path: Path) -> None:
    """libsndfile takes the bytes of the tag for audio and expects more of it than there is."""
    audio = encode(folder / "piece.wav", tmp_path / "a.mp3", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0")
    picture = np.random.default_rng(0).bytes(600_000)
    size = bytes(len(picture) >> shift & 0x7F for shift in (21, 14, 7, 0))
    (tmp_path / "b.mp3").write_bytes(b"ID3\x03\x00\x00" + size + picture + audio.read_bytes())
    assert read(tmp_path / "b.mp3") == read(audio)
    assert read_clip(tmp_path / "b.mp3", RATE_HZ).pcm.size == pytest.approx(SECONDS * RATE_HZ, abs=2000)


@pytest.mark.parametrize("junk", [bytes(417), np.random.default_rng(0).bytes(1040)], ids=["zeros", "random"])
def test_junk_before_the_first_frame_is_passed_over(folder: Path, tmp_path: Path, junk: bytes) -> None:
    data = (folder / "xing.mp3").read_bytes()
    tag_end = 10 + int.from_bytes(data[8:10], "big")
    (tmp_path / "a.mp3").write_bytes(data[:tag_end] + junk + data[tag_end:])
    found, said = read(tmp_path / "a.mp3")
    assert said == []
    assert found == pytest.approx(SECONDS, abs=0.1)


def test_a_xing_header_that_promises_too_little_ends_nothing(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "xing.mp3").read_bytes())
    at = max(data.find(b"Xing"), data.find(b"Info"))
    data[at + 8 : at + 12] = (50).to_bytes(4, "big")
    (tmp_path / "a.mp3").write_bytes(data)
    found, said = read(tmp_path / "a.mp3")
    assert said == []
    assert found == pytest.approx(SECONDS, abs=0.1)


def test_joined_mp3s_are_read_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    one, other = (folder / "xing.mp3").read_bytes(), encode(folder / "piece.wav", tmp_path / "b.mp3", "-b:a", "96k")
    tag = b"TAG".ljust(128, b"\0")
    (tmp_path / "a.mp3").write_bytes(one + tag + other.read_bytes() + one)
    found, said = read(tmp_path / "a.mp3")
    assert said == []
    assert found == pytest.approx(3 * SECONDS, abs=0.3)


@pytest.mark.parametrize("extension", ["ogg", "opus", "flac"])
def test_joined_streams_are_read_one_after_the_other(folder: Path, tmp_path: Path, extension: str) -> None:
    one = folder / f"one.{extension}"
    path = tmp_path / f"two.{extension}"
    path.write_bytes(one.read_bytes() * 2)
    assert read(path) == (pytest.approx(2 * read(one)[0], abs=0.001), [])


def test_joined_wavs_are_read_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "two.wav").write_bytes((folder / "piece.wav").read_bytes() * 2)
    assert read(tmp_path / "two.wav") == (2 * SECONDS, [])


@pytest.mark.parametrize("behind", [b"TAG".ljust(128, b"\0"), bytes(300_000)], ids=["ID3v1", "zeros"])
def test_what_lies_behind_a_flac_costs_no_sample(folder: Path, tmp_path: Path, behind: bytes) -> None:
    (tmp_path / "a.flac").write_bytes((folder / "one.flac").read_bytes() + behind)
    assert read(tmp_path / "a.flac") == (SECONDS, [])


def test_an_mp3_inside_a_wav_has_an_estimated_length(folder: Path, tmp_path: Path) -> None:
    encode(folder / "piece.wav", tmp_path / "a.wav", "-c:a", "libmp3lame", "-write_xing", "0", "-f", "wav")
    found, said = read(tmp_path / "a.wav")
    assert found == pytest.approx(SECONDS, abs=0.15)
    assert said == []


def test_a_second_stream_of_another_kind_is_said(folder: Path, tmp_path: Path) -> None:
    other = encode(folder / "piece.wav", tmp_path / "b.flac", "-ar", "44100")
    (tmp_path / "a.flac").write_bytes((folder / "one.flac").read_bytes() + other.read_bytes())
    found, said = read(tmp_path / "a.flac")
    assert found == pytest.approx(SECONDS, abs=0.001)
    assert said == ["stream 2 of 2 has 44100 Hz and 1 channel(s), unlike the first: it and what follows are not read"]


@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_a_file_from_a_pipe_has_no_length_and_is_whole(folder: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    command = [*FFMPEG, "-i", str(folder / "piece.wav"), "-f", kind, "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert read(path) == (SECONDS, [])


def test_a_recorder_that_was_stopped_before_it_wrote_sizes(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "piece.wav").read_bytes())
    data[4:8] = data[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(data)
    assert read(tmp_path / "a.wav") == (SECONDS, [])


def test_audio_behind_the_end_that_a_header_gives_is_said(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "piece.wav").read_bytes())
    data[4:8], data[40:44] = (100_036).to_bytes(4, "little"), (100_000).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    found, said = read(tmp_path / "a.wav")
    assert found == pytest.approx(50_000 / RATE_HZ)
    assert said == ["read 2.3 of about 6.0 s: the rest lies behind the end that the header gives"]


@pytest.mark.parametrize("name", ["xing.mp3", "one.ogg", "one.flac", "piece.wav"])
def test_a_file_that_is_cut_says_so(folder: Path, tmp_path: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(0.7 * len(data))])
    found, said = read(tmp_path / name)
    assert 3 < found < 5
    assert len(said) == 1
    assert "truncated" in said[0] or "damaged after" in said[0]


def test_damage_in_the_middle_of_an_mp3_is_said(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "xing.mp3").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    (tmp_path / "a.mp3").write_bytes(data)
    found, said = read(tmp_path / "a.mp3")
    assert found > SECONDS - 1
    assert len(said) == 1
    assert said[0].startswith(("damaged: ", "truncated: "))


def test_frames_are_counted_exactly(folder: Path) -> None:
    with (folder / "vbr.mp3").open("rb") as handle:
        layout = scan_mp3(FileBytes(handle))
    assert layout is not None
    assert (layout.promised_frames, layout.is_plain, layout.skipped_bytes) == (None, False, 0)
    assert layout.n_frames == pytest.approx(10 * SECONDS * 44100 / 1152, abs=3)


def test_one_broken_sample_does_not_silence_a_float_file(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    samples[[7, 9]] = 1e30, np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ, subtype="FLOAT")
    pcm = np.concatenate(list(file_blocks(tmp_path / "a.wav", RATE_HZ)))
    assert np.abs(pcm[10:] - samples[10:] * 32768).max() <= 1


@pytest.mark.parametrize(("loudness", "share"), [(8.0, "2[0-9]"), (2.5, "")])
def test_clipping_in_a_stream_is_counted_and_said(loudness: float, share: str) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5000).astype("<f4") * np.float32(loudness)
    blocks = raw_blocks(io.BytesIO(samples.astype("<f4").tobytes()), RATE_HZ, 1, "f32le", RATE_HZ)
    assert sum(map(len, blocks)) == 5000
    assert blocks.damages == []
    assert len(blocks.notes) == bool(share)
    if share:
        assert re.fullmatch(rf"{share}\.\d% of the samples are above full scale and were clipped: .*", blocks.notes[0])


@pytest.mark.parametrize(("loudness", "words"), [(8.0, r"its loudest sample is \d"), (0.5, None)])
def test_a_float_file_above_full_scale_is_turned_down(tmp_path: Path, loudness: float, words: str | None) -> None:
    quiet = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", quiet * np.float32(loudness), RATE_HZ, subtype="FLOAT")
    blocks = file_blocks(tmp_path / "a.wav", RATE_HZ)
    pcm = np.concatenate(list(blocks))
    expected = quiet / np.abs(quiet).max() * 32768 if words else quiet * loudness * 32768
    assert np.abs(pcm - np.clip(expected, -32768, 32767)).max() <= 1
    assert blocks.damages == []
    assert [True] * len(blocks.notes) == ([True] if words else [])
    assert read_clip(tmp_path / "a.wav", RATE_HZ).pcm.size == 5000  # a data set takes it as it does here


@pytest.mark.parametrize("name", ["xing.mp3", "vbr.mp3", "one.ogg", "one.flac"])
def test_c_reads_by_itself_what_it_reads_through_python(folder, monkeypatch, name):
    def pcm():
        return np.concatenate(list(file_blocks(folder / name, RATE_HZ)))

    found = pcm()
    monkeypatch.setattr(ByteRanges, "descriptor", lambda self: None)
    np.testing.assert_array_equal(found, pcm())


def test_a_descriptor_has_the_bytes_of_the_ranges(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    before = len(os.listdir("/proc/self/fd"))
    with path.open("rb") as handle:
        for ranges, prefix in (([(0, 200)], b""), ([(5, 9), (100, 200)], b"head"), ([(0, 7)], b"")):
            content = ByteRanges(handle, ranges, prefix)
            with open(content.descriptor(), "rb") as copy:  # a number
                assert copy.read() == content.read()
        assert ByteRanges(handle, [(0, 201)]).descriptor() is None  # cut meanwhile
        monkeypatch.setattr(byte_ranges, "_MOST_COPIED_BYTES", 50)
        assert ByteRanges(handle, [(0, 51)]).descriptor() is None
        assert ByteRanges(io.BytesIO(bytes(9)), [(0, 9)]).descriptor() is None
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("is_built", [True, False])
def test_a_pattern_is_found_wherever_it_stands(tmp_path, monkeypatch, is_built):
    if not is_built:
        monkeypatch.setattr(native_passes, "_library", lambda: None)
    path = tmp_path / "file"
    for n_bytes in (0, 3, 4, 9, 70, 523):
        for position in range(max(n_bytes - 3, 0)):
            path.write_bytes(bytes(position) + b"fLaC" + bytes(n_bytes - position - 4))
            with path.open("rb") as handle:
                assert FileBytes(handle).find(b"fLaC", 0) == position
        path.write_bytes(bytes(n_bytes))
        with path.open("rb") as handle:
            assert FileBytes(handle).find(b"fLaC", 0) == -1


def test_damage_costs_a_flac_a_short_block(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (400_000, 2)), RATE_HZ)
    whole = np.concatenate(list(file_blocks(path, RATE_HZ)))
    os.truncate(path, path.stat().st_size * 7 // 8)
    blocks = file_blocks(path, RATE_HZ)
    found = np.concatenate(list(blocks))
    assert 350_000 - 16384 - 4096 < len(found) < 350_000
    np.testing.assert_array_equal(found, whole[: len(found)])
    assert blocks.damages == [f"damaged after {len(found)} of 400000 samples (flac decoder lost sync)"]
