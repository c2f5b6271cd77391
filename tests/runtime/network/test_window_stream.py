"""Windows of a stream: the same windows for any block sizes, flat memory, short audio repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import FrontendSpec, log_mel, normalize
from edgegenre_runtime.frontend.tables import design
from edgegenre_runtime.network.window_stream import WindowStream

SMALL = design(FrontendSpec(n_fft=128, hop_samples=48, n_mels=8, frames_per_window=8))


def windows_of(pcm, chunks, hop_frames=None):
    stream = WindowStream(SMALL, hop_frames)
    pieces = np.split(pcm, np.cumsum(chunks)) if chunks else [pcm]
    found = [item for piece in pieces for item in stream.push(piece)]
    last = stream.finish()
    return found + ([last] if last else [])


@settings(deadline=None)
@given(
    n=st.integers(0, 3000),
    chunks=st.lists(st.integers(0, 900), max_size=8),
    hop_frames=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_any_blocks_give_the_windows_of_the_whole(n, chunks, hop_frames, seed):
    pcm = np.random.default_rng(seed).integers(-32768, 32768, n).astype(np.int16)
    found = windows_of(pcm, chunks, hop_frames)
    frames = log_mel(pcm, SMALL).frames_q9
    starts = range(0, frames.shape[1] - 7, hop_frames)
    if len(starts):
        expected = [normalize(frames[:, s : s + 8], SMALL).cells for s in starts]
        assert [item.start_s for item in found] == [s * 48 / 22050 for s in starts]
        assert not any(item.is_repeated for item in found)
    elif frames.shape[1]:
        expected = [normalize(frames[:, np.arange(8) % frames.shape[1]], SMALL).cells]
        assert found[0].is_repeated
        assert found[0].end_s == pytest.approx(((frames.shape[1] - 1) * 48 + 128) / 22050)
    else:
        expected = []
    assert len(found) == len(expected)
    for item, cells in zip(found, expected, strict=True):
        assert np.array_equal(item.window.cells, cells)


def test_state_stays_small():
    stream = WindowStream(SMALL)
    pcm = np.random.default_rng(0).integers(-999, 999, 200_000).astype(np.int16)
    n_windows = sum(1 for _ in stream.push(pcm))
    assert n_windows == (SMALL.spec.n_frames(200_000) - 8) // 4 + 1
    assert stream._frames.shape[1] < 16


def test_reset_starts_a_new_stream():
    stream = WindowStream(SMALL)
    pcm = np.random.default_rng(0).integers(-999, 999, 2000).astype(np.int16)
    first = [item.window.cells for item in stream.push(pcm)]
    stream.reset()
    again = [item.window.cells for item in stream.push(pcm)]
    assert np.array_equal(first, again)


def test_hop_of_zero_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        WindowStream(SMALL, 0)
