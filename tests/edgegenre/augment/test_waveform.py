"""Waveform augmentation and the offline expansion of a data set."""

import numpy as np
import pytest

pytest.importorskip("audiomentations")

from edgegenre.augment.waveform import WAVEFORM_TRANSFORMS, add_gaussian_noise, gain, pitch, tempo, waveform_augmenter
from edgegenre.data.builders.build_cache import Expansion, build_cache
from edgegenre.data.feature_cache import load_cache
from edgegenre.data.sources import open_dataset
from edgegenre.data.split import split_tracks
from edgegenre_runtime.frontend import released
from edgegenre_runtime.workers import open_workers

RATE_HZ = 22050
TABLES = released("wide9s")


@pytest.fixture(scope="module")
def tone():
    return (0.3 * np.sin(2 * np.pi * 441 * np.arange(RATE_HZ * 2) / RATE_HZ)).astype(np.float32)


def peak_hz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * RATE_HZ / len(samples)


@pytest.mark.parametrize("name", WAVEFORM_TRANSFORMS)
def test_each_transform_is_seeded_and_finite(tone, name):
    first, again, other = (
        WAVEFORM_TRANSFORMS[name](tone.copy(), RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_tempo_changes_the_length_and_not_the_pitch(tone):
    fast = tempo(tone, RATE_HZ, np.random.default_rng(3))
    assert 0.75 < len(fast) / len(tone) < 1.3
    assert len(fast) != len(tone)
    assert peak_hz(fast) == pytest.approx(441, rel=0.02)


def test_pitch_moves_a_tone_by_at_most_two_semitones(tone):
    shifted = pitch(tone, RATE_HZ, np.random.default_rng(3))
    assert len(shifted) == len(tone)
    assert 0.005 < abs(np.log2(peak_hz(shifted) / 441)) <= 2 / 12 + 0.01


def test_noise_and_gain_are_within_their_ranges(tone):
    for seed in range(10):
        noise = add_gaussian_noise(tone, RATE_HZ, np.random.default_rng(seed)) - tone
        assert 14.5 < 10 * np.log10((tone**2).mean() / (noise**2).mean()) < 45.5
        ratio_db = 20 * np.log10(np.abs(gain(tone, RATE_HZ, np.random.default_rng(seed))).max() / np.abs(tone).max())
        assert -12.01 < ratio_db < 6.01


def test_loud_music_is_clipped_not_wrapped():
    loud = np.full(4000, 32767, np.int16)
    for seed in range(10):
        out = waveform_augmenter(RATE_HZ)(loud, np.random.default_rng(seed))
        assert out.dtype == np.int16


@pytest.fixture(scope="module")
def expanded(toy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expanded")
    dataset = open_dataset(toy_folder)
    parts = split_tracks(dataset, seed=0, fractions=(0.5, 0.25, 0.25))

    def build(name, threads):
        expansion = Expansion(2, lambda pcm, rng: waveform_augmenter(RATE_HZ)(pcm[: 3 * RATE_HZ], rng), seed=5)
        with open_workers(threads=threads) as workers:
            build_cache(dataset, TABLES, folder / name, split=parts, expansion=expansion, workers=workers)
        return load_cache(folder / name, TABLES)

    return build("one.npz", 1), build("two.npz", 2), parts


def test_only_training_tracks_are_copied_and_copies_keep_label_and_group(expanded):
    cache, _, parts = expanded
    assert len(cache.names) == len(parts.train) * 3 + len(parts.valid) + len(parts.test)
    assert len(set(cache.names)) == len(cache.names)
    by_name = dict(zip(cache.names, zip(cache.y, cache.groups, cache.split, strict=True), strict=True))
    for name in parts.train:
        assert by_name[name] == by_name[f"{name}#1"] == by_name[f"{name}#2"]
    assert not any("#" in cache.names[i] for part in ("valid", "test") for i in cache.tracks_of(part))


def test_the_expansion_does_not_depend_on_the_number_of_threads(expanded):
    one, two, _ = expanded
    assert one.names == two.names
    assert np.array_equal(one.frames, two.frames)
