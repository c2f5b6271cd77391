"""Stretches of a file without decoding the rest: the same samples as in the whole of it."""

import contextlib

import numpy as np
import pytest
import soundfile
from real_audio import encode

from edgegenre.toy.dataset import render
from edgegenre_runtime.audio.excerpts import excerpt_pcm, spread
from edgegenre_runtime.audio.files import file_blocks, file_excerpts, open_audio
from edgegenre_runtime.errors import AudioError

RATE_HZ, N = 44100, 22050  # of the files; samples of a stretch


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    """20 s of stereo at 44.1 kHz whose channels differ."""
    path = tmp_path_factory.mktemp("piece") / "piece.wav"
    left, right = render("disco", 0, 10.0), render("blues", 0, 10.0)
    n = min(len(left), len(right))
    soundfile.write(path, np.column_stack((left[:n], right[:n])).repeat(2, axis=0).repeat(2, axis=0), RATE_HZ)
    return path


def whole(path):
    samples = np.concatenate(list(open_audio(path).frames()))
    return samples / np.float32(32768) if samples.dtype == np.int16 else samples


@pytest.mark.parametrize(
    ("name", "options", "largest_error"),
    [
        ("a.wav", [], 0),
        ("a.aiff", [], 0),
        ("a.flac", [], 0),
        ("a.ogg", ["-c:a", "libvorbis"], 0),
        ("a.opus", ["-ar", "48000"], 1e-3),
        ("a.m4a", ["-c:a", "alac"], 0),
    ],
)
def test_a_stretch_is_what_the_whole_file_has_there(piece, tmp_path, name, options, largest_error):
    if name.endswith("m4a"):
        pytest.importorskip("av")
    path = encode(piece, tmp_path / name, *options)
    samples, opened = whole(path), open_audio(path)
    found = opened.excerpts(4, N)
    assert abs(found.n_frames - len(samples)) <= 4096
    for start, block in zip(spread(found.n_frames, 4, N), found.blocks, strict=True):
        assert block.shape == (N, 2)
        np.testing.assert_allclose(block, samples[start : start + N], rtol=0, atol=largest_error)
    opened.close()


@pytest.mark.parametrize("options", [["-b:a", "64k"], ["-q:a", "4"], ["-b:a", "320k", "-write_xing", "0"]])
def test_a_stretch_of_an_mp3_is_decoded_from_the_frames_that_hold_it(piece, tmp_path, options):
    path = encode(piece, tmp_path / "a.mp3", *options)
    samples, opened = whole(path), open_audio(path)
    found = opened.excerpts(4, N)
    assert abs(found.n_frames - len(samples)) <= 3 * 1152
    for start, block in zip(spread(found.n_frames, 4, N), found.blocks, strict=True):
        near = samples[start - 3000 : start + N + 3000, 0]
        lags = np.correlate(near, block[:, 0], "valid")
        lag = int(lags.argmax())  # a header that counts the encoder's delay shifts the whole file by it
        assert abs(lag - 3000) <= 1200
        np.testing.assert_allclose(block, samples[start - 3000 + lag : start - 3000 + lag + N], rtol=0, atol=1e-4)
    opened.close()


def test_stretches_at_the_front_ends_rate(piece):
    pcm = np.concatenate(list(file_blocks(piece, 22050)))
    with contextlib.closing(file_excerpts(piece, 22050, 5, 22050)) as found:
        stretches = list(found.pcm())
    assert (found.duration_s, found.warnings) == (pytest.approx(len(pcm) / 22050, abs=1e-3), ())
    for i, stretch in enumerate(stretches):
        assert stretch.shape == (22050,)
        middle = round((i + 0.5) / 5 * len(pcm))
        np.testing.assert_allclose(stretch, pcm[middle - 11025 : middle + 11025], rtol=0, atol=40)
    assert np.abs(stretches[0].astype(float)).max() > 1000


def test_a_float_file_above_full_scale_is_turned_down(tmp_path):
    samples = np.linspace(-4, 4, 40 * 22050, dtype=np.float32)
    soundfile.write(tmp_path / "f.wav", samples, 22050, subtype="FLOAT")
    with contextlib.closing(file_excerpts(tmp_path / "f.wav", 22050, 4, 22050)) as found:
        first, *_ = found.pcm()
    assert first.min() == -32768
    assert np.count_nonzero(first == -32768) < 10


def test_samples_that_are_no_numbers_count_as_0():
    block = np.full((2205, 1), 0.25, np.float32)
    block[::2], block[1] = np.nan, np.inf
    pcm = excerpt_pcm(block, 22050, 22050, 2205)
    assert pcm[:4].tolist() == [0, 0, 0, 8192]


def test_what_has_to_be_read_whole(piece, tmp_path):
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros((6 * RATE_HZ, 1)), RATE_HZ)
    assert file_excerpts(short, 22050, 4, 22050 * 2) is None
    flac = encode(piece, tmp_path / "a.flac")
    file_excerpts(flac, 22050, 4, 22050).close()
    joined = tmp_path / "joined.flac"
    joined.write_bytes(flac.read_bytes() * 2)
    assert file_excerpts(joined, 22050, 4, 22050) is None
    content = bytearray(flac.read_bytes())
    content[21] &= 0xF0  # the number of samples in STREAMINFO: unknown
    content[22:26] = bytes(4)
    (tmp_path / "stream.flac").write_bytes(content)
    assert file_excerpts(tmp_path / "stream.flac", 22050, 4, 22050) is None


def test_what_is_missing_is_an_error(piece, tmp_path):
    cut = tmp_path / "cut.flac"
    flac = encode(piece, tmp_path / "a.flac").read_bytes()
    cut.write_bytes(flac[: len(flac) // 2])
    with (
        contextlib.closing(file_excerpts(cut, 22050, 5, 22050)) as found,
        pytest.raises(AudioError, match=r"cut\.flac"),
    ):
        list(found.pcm())
    with pytest.raises(AudioError, match="no such file"):
        file_excerpts(tmp_path / "none.wav", 22050, 5, 22050)
    with pytest.raises(AudioError, match="is a directory"):
        file_excerpts(tmp_path, 22050, 5, 22050)
