"""Streaming and properties: any chunk sizes give the same bits; gain and silence behave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.frontend import FrontendSpec, MelStream, log_mel, normalize, released
from edgegenre_runtime.frontend.tables import design

pytestmark = pytest.mark.usefixtures("implementation")
SMALL = design(FrontendSpec(n_fft=128, hop_samples=48, n_mels=8, frames_per_window=4))
GAPS = design(FrontendSpec(n_fft=32, hop_samples=100, n_mels=4, frames_per_window=4))


@settings(deadline=None)
@given(
    chunks=st.lists(st.integers(0, 700), max_size=12),
    seed=st.integers(0, 2**32 - 1),
    tables=st.sampled_from([SMALL, GAPS]),
)
def test_any_chunk_sizes_give_the_same_bits(chunks, seed, tables):
    pcm = np.random.default_rng(seed).integers(-32768, 32768, sum(chunks)).astype(np.int16)
    stream = MelStream(tables)
    pieces = np.split(pcm, np.cumsum(chunks)[:-1]) if chunks else [pcm]
    streamed = np.concatenate([stream.push(piece) for piece in pieces], axis=1)
    assert np.array_equal(streamed, log_mel(pcm, tables).frames_q9)
    stream.reset()
    assert np.array_equal(stream.push(pcm), streamed)


@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_presets_streamed_in_odd_chunks(name):
    tables = released(name)
    pcm = np.random.default_rng(3).integers(-9000, 9000, 30000).astype(np.int16)
    stream = MelStream(tables)
    streamed = np.concatenate([stream.push(pcm[i : i + 977]) for i in range(0, len(pcm), 977)], axis=1)
    assert np.array_equal(streamed, log_mel(pcm, tables).frames_q9)
    assert streamed.shape[1] == tables.spec.n_frames(len(pcm))


def test_reset_forgets_a_half_frame():
    stream = MelStream(SMALL)
    stream.push(np.full(100, 9999, np.int16))
    stream.reset()
    pcm = np.random.default_rng(0).integers(-99, 99, 500).astype(np.int16)
    assert np.array_equal(stream.push(pcm), log_mel(pcm, SMALL).frames_q9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(1, 3))
def test_gain_drops_out_of_the_window(seed, shift):
    """A microphone's gain of 6, 12 or 18 dB changes no cell by more than a step."""
    quiet = np.random.default_rng(seed).integers(-4000, 4000, 128 + 3 * 48).astype(np.int16)
    cells = [normalize(log_mel(pcm, SMALL).frames_q9, SMALL).cells.astype(int) for pcm in (quiet, quiet << shift)]
    assert np.abs(cells[0] - cells[1]).max() <= 1


@settings(deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=128, max_size=128 + 3 * 48))
def test_any_pcm_gives_a_window_whose_maximum_is_127(pcm):
    frames = log_mel(np.array(pcm, dtype=np.int16), SMALL).frames_q9
    padded = np.pad(frames, ((0, 0), (0, 4 - frames.shape[1])), constant_values=-32768)
    window = normalize(padded, SMALL)
    assert window.cells.max() == (127 if padded.max() > -32768 else -128)
    assert window.spec_hash == SMALL.spec_hash


@pytest.mark.parametrize(("level_dbfs", "is_silence"), [(-75, True), (-65, False), (-20, False)])
def test_silence_threshold(level_dbfs, is_silence):
    tables = released("seed3s")
    t = np.arange(tables.spec.window_samples) / 22050
    level = 32768 * 10 ** (level_dbfs / 20)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(t))  # dither, as any converter has
    pcm = np.rint(level * np.sin(2 * np.pi * 1000 * t) + noise).astype(np.int16)
    assert normalize(log_mel(pcm, tables).frames_q9, tables).is_silence is is_silence


def test_digital_silence_is_the_floor():
    tables = released("seed3s")
    window = normalize(log_mel(np.zeros(tables.spec.window_samples, np.int16), tables).frames_q9, tables)
    assert window.is_silence
    assert (window.cells == -128).all()


@pytest.mark.parametrize("pcm", [np.zeros(4096), np.zeros((2, 4096), np.int16), np.zeros(4096, np.int32)])
def test_pcm_of_another_kind_is_refused(pcm):
    with pytest.raises(SpecError, match="int16"):
        log_mel(pcm, released("seed3s"))
    with pytest.raises(SpecError, match="int16"):
        MelStream(released("seed3s")).push(pcm)


def test_a_window_of_another_shape_is_refused():
    with pytest.raises(SpecError, match=r"\[128, 128\]"):
        normalize(np.zeros((128, 127), np.int16), released("seed3s"))


def test_too_short_gives_no_frame():
    assert log_mel(np.zeros(2047, np.int16), released("seed3s")).frames_q9.shape == (128, 0)
