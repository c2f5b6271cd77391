"""PCM from a pipe: every raw format, WAV headers of every kind, and other audio files, which are refused."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edgegenre_runtime.audio.raw_pcm import RAW_FORMATS, open_pcm, raw_blocks
from edgegenre_runtime.audio.stream_format import PeekableStream, container_name
from edgegenre_runtime.errors import AudioError, UsageError


def _music(n: int, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(n)
    return rng.integers(-20000, 20000, (n, channels)).astype(np.int16)


def _read(data: bytes, *options: object) -> np.ndarray:
    rate_hz, channels, fmt = options or (None, None, None)
    return np.concatenate(list(raw_blocks(io.BytesIO(data), rate_hz, channels, fmt, 22050)))


class _Trickle(io.RawIOBase):
    """A binary stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 7))


@pytest.mark.parametrize("fmt", RAW_FORMATS)
@pytest.mark.parametrize("make", [io.BytesIO, _Trickle])
def test_raw_formats(fmt: str, make: type) -> None:
    pcm = (_music(999, channels=2) // 256) * 256
    wide = pcm.astype(np.int64) * 65536
    bits = int("".join(c for c in fmt.partition("-")[0] if c.isdigit()))
    if fmt[0] == "f":
        data = (pcm / 32768).astype(f"{'>' if fmt.endswith('be') else '<'}f{bits // 8}").tobytes()
    elif fmt == "s24-32le":  # the high byte is of no account, as ALSA says
        data = ((wide >> 8) & 0xFFFFFF | 0x5A000000).astype("<u4").tobytes()
    else:
        steps = (wide >> (32 - bits)) + (128 if fmt == "u8" else 0)
        octets = steps.astype("<i8").reshape(-1, 1).view(np.uint8)[:, : bits // 8]
        data = (octets[:, ::-1] if fmt.endswith("be") else octets).tobytes()
    blocks = raw_blocks(make(data + b"\x01"), 22050, 2, fmt, 22050)
    out = np.concatenate(list(blocks))
    np.testing.assert_array_equal(out, np.rint(pcm.mean(axis=1)))


def test_raw_from_a_pipe() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, np.arange(100, dtype="<i2").tobytes())
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        np.testing.assert_array_equal(np.concatenate(list(raw_blocks(stream, 22050, 1, "s16le", 22050))), range(100))


def test_bad_raw_streams() -> None:
    with pytest.raises(UsageError, match="raw format 'mulaw' is unknown; allowed are f32be, f32le"):
        raw_blocks(io.BytesIO(), 22050, 1, "mulaw", 22050)
    with pytest.raises(UsageError, match="out of range"):
        raw_blocks(io.BytesIO(), 22050, 0, "s16le", 22050)
    with pytest.raises(AudioError, match="contains no audio"):
        list(raw_blocks(io.BytesIO(b"\x01"), 22050, 1, "s16le", 22050))


def _wav(samples: np.ndarray, rate_hz: int = 22050, **options: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, **({"format": "WAV"} | options))
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("make", [io.BytesIO, _Trickle])
def test_a_wav_header_says_what_follows(container: str, subtype: str, make: type) -> None:
    pcm = (_music(500, 2) // 256) * 256
    data = _wav(pcm / 32768, 48000, format=container, subtype=subtype)
    stream = open_pcm(make(data), None, None, None)
    assert (stream.rate_hz, stream.channels) == (48000, 2)
    np.testing.assert_array_equal(np.rint(np.concatenate(list(stream.frames)) * 32768), pcm)
    assert stream.warnings == []
    assert open_pcm(io.BytesIO(data), 48000, 2, stream.fmt).rate_hz == 48000  # what is given may agree


def test_what_is_given_must_agree_with_the_header() -> None:
    data = _wav(_music(500), 48000)
    for options, says in (((44100, None, None), "--rate 44100"), ((None, 2, None), "--channels 2")):
        with pytest.raises(AudioError, match=rf"a WAV file with 48000 Hz, 1 channel\(s\).*{says} was given: leave"):
            open_pcm(io.BytesIO(data), *options)
    with pytest.raises(AudioError, match="--format f32le was given"):
        open_pcm(io.BytesIO(data), None, None, "f32le")


def test_chunks_before_and_behind_the_data_are_no_audio() -> None:
    pcm = _music(501).astype(np.int16)
    body = pcm.tobytes()[:-1]  # an odd number of bytes, hence a pad byte
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 22050, 44100, 2, 16)
    odd = struct.pack("<4sI", b"LIST", 5) + b"abcde\0"
    data = odd + fmt + struct.pack("<4sI", b"data", len(body)) + body + b"\0" + b"LIST\x04\0\0\0\x7f\x7f\x7f\x7f"
    np.testing.assert_array_equal(_read(b"RIFF" + struct.pack("<I", len(data) + 4) + b"WAVE" + data), pcm[:500, 0])


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000])
def test_a_wav_that_was_written_to_a_pipe_does_not_know_its_length(size: int) -> None:
    pcm, data = _music(500), bytearray(_wav(_music(500)))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    stream = raw_blocks(io.BytesIO(bytes(data)), None, None, None, 22050)
    np.testing.assert_array_equal(np.concatenate(list(stream)), pcm[:, 0])
    assert stream.warnings == []


def test_a_wav_that_breaks_off_is_said_to() -> None:
    blocks = raw_blocks(io.BytesIO(_wav(_music(500))[:-400]), None, None, None, 22050)
    assert sum(map(len, blocks)) == 300
    assert blocks.warnings == ["truncated: 300 of 500 samples are there"]


@pytest.mark.parametrize(
    ("container", "subtype", "name"),
    [
        ("FLAC", "PCM_16", "a FLAC file"), ("OGG", "VORBIS", "an Ogg file"), ("OGG", "OPUS", "an Ogg file"),
        ("MP3", "MPEG_LAYER_III", "an MP3 file"), ("AIFF", "PCM_16", "an AIFF file"), ("AU", "PCM_16", "an AU file"),
        ("CAF", "PCM_16", "a CAF file"), ("W64", "PCM_16", "a Wave64 file"),
    ],
)  # fmt: skip
def test_other_audio_files_are_refused_and_ffmpeg_is_named(container: str, subtype: str, name: str) -> None:
    rate_hz = 48000 if subtype == "OPUS" else 44100
    data = _wav(np.random.default_rng(0).normal(0, 0.1, 44100), rate_hz, format=container, subtype=subtype)
    for stream in (io.BytesIO(data), _Trickle(data)):
        with pytest.raises(AudioError, match=rf"^standard input: {name}, not raw PCM: .* ffmpeg -i FILE -f s16le"):
            open_pcm(stream, None, None, None)


ADTS = bytes.fromhex("fff15080021ffc") + bytes(9)  # a frame of 16 bytes, 44.1 kHz, stereo


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (ADTS * 9, "an AAC file"), (b"RIFF\0\0\0\0AVI LIST", "a RIFF file that is no WAV"),
        (b"MThd\0\0\0\6" * 9, "a MIDI file"),
        (b"PK\3\4" + bytes(99), "a zip archive"), (b"\x1f\x8b\x08" + bytes(99), "a gzip archive"),
        (b"\xff\xd8\xff\xe0" + bytes(99), "a JPEG picture"), (b"<!doctype html>\n<html lang=en>" * 9, "text"),
        (b'{"kind": "result", "label": "jazz"}\n' * 9, "text"), (b"#!AMR\n" + bytes(99), "an AMR file"),
    ],
)  # fmt: skip
def test_what_is_no_sound_at_all_is_refused_too(data: bytes, name: str) -> None:
    for stream in (io.BytesIO(data), _Trickle(data)):
        with pytest.raises(AudioError, match=f"^standard input: {name}, not raw PCM"):
            open_pcm(stream, None, None, None)


@pytest.mark.parametrize("start", [b"\xff\xf1\x50\x80\x02\x1f\xfc", b"\xff\xfb\x90\x00", b"abcdefghijkl", b"\xff\xff"])
def test_samples_that_begin_like_a_file_are_pcm(start: bytes) -> None:
    pcm = start + np.random.default_rng(1).integers(-9000, 9000, 20000).astype("<i2").tobytes()
    np.testing.assert_array_equal(_read(pcm), np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2"))


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_wav_files_are_refused(subtype: str) -> None:
    with pytest.raises(AudioError, match="not plain PCM"):
        open_pcm(io.BytesIO(_wav(_music(9999), subtype=subtype)), None, None, None)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"RIFF0000WAVE", b"RF640000WAVEds64", b"\xff\xfb", b"RIFF0000WAVEfmt "]),
)
def test_any_bytes_are_pcm_or_one_clear_error(data: bytes, start: bytes) -> None:
    try:
        stream = open_pcm(io.BytesIO(start + data), None, None, None)
    except (AudioError, UsageError):
        return
    list(stream.frames)


@given(st.binary(min_size=2000, max_size=2000))
def test_raw_pcm_is_not_taken_for_an_mp3(data: bytes) -> None:
    assert container_name(PeekableStream(io.BytesIO(b"\xff\xfb\x90\x00" + data))) == ""
