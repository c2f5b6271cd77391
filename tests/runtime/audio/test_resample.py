from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgegenre_runtime.audio import native_passes
from edgegenre_runtime.audio.resample import Resampler
from edgegenre_runtime.errors import UsageError


def _run(samples: np.ndarray, sizes: list[int], in_rate_hz: int, out_rate_hz: int = 22050) -> np.ndarray:
    resampler = Resampler(in_rate_hz, samples.shape[1], out_rate_hz)
    pieces, start, turn = [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        pieces.append(resampler.push(samples[start : start + size]))
        start, turn = start + size, turn + 1
    return np.concatenate([*pieces, resampler.flush()])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=8),
    in_rate_hz=st.sampled_from([1000, 8000, 11025, 22049, 22050, 44100, 48000, 96000, 192000, 768000]),
    channels=st.sampled_from([1, 2, 6, 9]),
)
def test_chunk_sizes_never_change_the_bits(sizes: list[int], in_rate_hz: int, channels: int) -> None:
    samples = np.random.default_rng(3).normal(0, 0.3, (6000, channels)).astype(np.float32)
    np.testing.assert_array_equal(_run(samples, sizes, in_rate_hz), _run(samples, [6000], in_rate_hz))


edges = st.sampled_from([0.0, -0.0, 1e-45, 1.2e-38, 3e-39, 0.5, 1 / 3, 65536.0, 65537.0, 3e38, np.inf, -np.inf, np.nan])
levels = edges | st.floats(-1.5, 1.5, width=32) | st.floats(width=32)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=12), st.sampled_from([1, 2]))
def test_one_and_two_channels_are_mixed_as_any_number_is(rows: list[tuple[float, float]], channels: int) -> None:
    block = np.array(rows, np.float32)[:, :channels]
    good = np.where(np.isfinite(block), block, np.float32(0)).astype(np.float64)
    wanted = np.clip((good.sum(axis=1) / channels).astype(np.float32), -65536, 65536)
    resampler = Resampler(44100, channels, 22050)
    np.testing.assert_array_equal(resampler._down_mix(block), wanted)
    assert resampler.bad_samples == np.count_nonzero(~np.isfinite(block))


def test_c_and_numpy_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    halves = (np.arange(-70001, 70001, dtype=np.float32) / 2 / 32768)[:, None]  # ties, and what is above full scale
    noise = rng.normal(0, 0.5, (5001, 2)).astype(np.float32)
    whole = rng.integers(-32768, 32768, (5001, 2)).astype(np.int16)
    given = [halves, noise, noise[:, :1], noise[:, ::-1], whole, whole[:, :1], np.repeat(whole, 3, axis=1)]

    def found(block: np.ndarray, in_rate_hz: int) -> tuple[bytes, int]:
        resampler = Resampler(in_rate_hz, block.shape[1], 22050)
        pcm = np.concatenate([resampler.push(block[:4001]), resampler.push(block[4001:]), resampler.flush()])
        return pcm.tobytes(), resampler.clipped_samples

    cases = [(block, rate_hz) for block in given for rate_hz in (22050, 44100)]
    assert native_passes.to_int16(noise[:, 0]) is not None, "C is not built"
    by_c = [found(*case) for case in cases]
    floats = [found(b / np.float32(32768) if b.dtype == np.int16 else b, rate_hz) for b, rate_hz in cases]
    monkeypatch.setattr(native_passes, "_library", lambda: None)
    assert by_c == [found(*case) for case in cases] == floats


@pytest.mark.parametrize("above", [0, 3])
def test_samples_above_full_scale_are_clipped_and_counted(above: int) -> None:
    samples = np.linspace(-0.9, 0.9, 50, dtype=np.float32)[:, None]
    samples[:above] *= 2
    samples[40] = 1.0  # 32768 is full scale, which int16 lacks
    resampler = Resampler(22050, 1, 22050)
    out = resampler.push(samples)
    np.testing.assert_array_equal(out, np.clip(np.rint(samples[:, 0] * 32768), -32768, 32767))
    assert (resampler.clipped_samples, resampler.n_samples) == (above, 50)


def test_equal_rates_pass_int16_bit_for_bit() -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    samples = (pcm / np.float32(32768)).astype(np.float32)[:, None]
    out = _run(samples, [777], 22050)
    assert out.dtype == np.int16
    np.testing.assert_array_equal(out, pcm)


@pytest.mark.parametrize("in_rate_hz", [8000, 44100, 48000, 96000])
def test_a_sine_stays_a_sine(in_rate_hz: int) -> None:
    t = np.arange(in_rate_hz) / in_rate_hz
    samples = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)[:, None]
    out = _run(samples, [1024], in_rate_hz)
    wanted = 16384 * np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
    assert abs(out.size - 22050) <= 1
    assert np.abs(out[500:-500] - wanted[500 : out.size - 500]).max() <= 3


def test_channels_are_averaged() -> None:
    samples = np.tile(np.float32([[0.5, -0.25, 0.5]]), (4, 1))
    np.testing.assert_array_equal(_run(samples, [4], 22050), np.full(4, 8192))


def test_bad_samples_count_as_zero_and_loud_ones_clip() -> None:
    resampler = Resampler(22050, 1, 22050)
    block = np.float32([[np.nan], [np.inf], [-np.inf], [1.0], [-1.0], [3e38], [-3e38]])
    np.testing.assert_array_equal(resampler.push(block), [0, 0, 0, 32767, -32768, 32767, -32768])
    assert resampler.bad_samples == 3


def test_loud_samples_do_not_overflow_the_filter() -> None:
    samples = np.full((4000, 2), 3e38, np.float32)
    out = _run(samples, [4000], 44100)
    assert (out[100:-100] == 32767).all()


def test_a_flushed_resampler_starts_afresh() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (3000, 1)).astype(np.float32)
    resampler = Resampler(48000, 1, 22050)
    first = np.concatenate([resampler.push(samples), resampler.flush()])
    second = np.concatenate([resampler.push(samples), resampler.flush()])
    np.testing.assert_array_equal(first, second)


def test_nothing_in_nothing_out() -> None:
    resampler = Resampler(48000, 2, 22050)
    assert resampler.push(np.zeros((0, 2), np.float32)).size == 0
    assert resampler.flush().size == 0


@pytest.mark.parametrize(("rate_hz", "channels"), [(999, 1), (768001, 1), (0, 1), (-1, 1), (22050, 0), (22050, 65)])
def test_what_is_out_of_range_is_refused(rate_hz: int, channels: int) -> None:
    with pytest.raises(UsageError, match="out of range; allowed are"):
        Resampler(rate_hz, channels, 22050)


def test_a_block_of_another_shape_is_refused() -> None:
    with pytest.raises(UsageError, match=r"must be \[n, 2\]"):
        Resampler(22050, 2, 22050).push(np.zeros((5, 1), np.float32))
