"""Augmented windows: seeded, in range, and doing what each transform's name says."""

import math
import re

import numpy as np
import pytest
from documentation import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgegenre.augment.spectrogram import (
    AUGMENT_PRESETS,
    AugmentConfig,
    add_noise,
    augment_preset,
    band_limit,
    color,
    draw_window,
    mask,
    mixup,
    pitch_shift,
    time_stretch,
)
from edgegenre.data.feature_cache import crop
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import log_mel, normalize, released
from edgegenre_runtime.frontend.decibels import db_to_q9, q9_to_db

TABLES = released("wide9s")
SPEC = TABLES.spec


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(1).integers(2000, 9000, (128, 300), dtype=np.int16)


def tone(hz, seconds=10.0):
    t = np.arange(round(seconds * SPEC.sample_rate_hz)) / SPEC.sample_rate_hz
    pcm = np.rint(12000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)
    return log_mel(pcm, TABLES).frames_q9


@pytest.mark.parametrize("preset", AUGMENT_PRESETS)
def test_the_same_seed_gives_the_same_window_and_another_another(frames, preset):
    config = augment_preset(preset)
    first, again, other = (draw_window(frames, config, TABLES, np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_augmentation_is_a_plain_crop(frames):
    window = draw_window(frames, AugmentConfig(), TABLES, np.random.default_rng(0))
    assert any(np.array_equal(window, crop(frames, start, 128)) for start in range(173))


@given(seed=st.integers(0, 1000), preset=st.sampled_from(sorted(AUGMENT_PRESETS)), length=st.integers(1, 200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_window_keeps_the_contract_of_the_network_input(seed, preset, length):
    rng = np.random.default_rng(seed)
    frames = rng.integers(-32768, 32767, (128, length), dtype=np.int16)
    window = draw_window(frames, augment_preset(preset), TABLES, rng)
    assert window.shape == (128, 128)
    assert window.dtype == np.int16
    assert normalize(window, TABLES).cells.max() == 127


def test_digital_silence_survives_every_transform():
    silent = np.full((128, 200), -32768, np.int16)
    for seed in range(20):
        window = draw_window(silent, augment_preset("strong"), TABLES, np.random.default_rng(seed))
        assert np.isfinite(normalize(window, TABLES).cells).all()


@given(gain=st.integers(-3000, 3000))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_gain_is_no_augmentation_because_the_normalizer_takes_it_out(gain):
    window = np.random.default_rng(0).integers(2000, 9000, (128, 128), dtype=np.int16)
    assert np.array_equal(normalize(window, TABLES).cells, normalize(window + np.int16(gain), TABLES).cells)


def test_stretch_keeps_both_ends_and_moves_an_onset():
    db = np.zeros((4, 101), np.float32)
    db[:, 50:] = 60
    out = time_stretch(db, 201)
    assert out.shape == (4, 201)
    assert (out[0, 0], out[0, -1]) == (0, 60)
    assert np.flatnonzero(out[0] > 30)[0] in (99, 100)


def test_an_octave_up_moves_a_tone_to_twice_its_frequency():
    low, high = (q9_to_db(tone(hz)[:, 20]) for hz in (1500, 3000))
    shifted = pitch_shift(np.repeat(low[:, None], 3, axis=1), 12.0, SPEC)
    assert abs(int(shifted[:, 0].argmax()) - int(high.argmax())) <= 1
    assert np.array_equal(pitch_shift(shifted, 0.0, SPEC), shifted)


def test_color_is_the_same_in_every_frame_and_as_large_as_asked():
    db = np.zeros((128, 5), np.float32)
    curves = np.stack([color(db, 4.0, np.random.default_rng(s))[:, 0] for s in range(300)])
    assert curves[:, 0].std() == pytest.approx(4.0, rel=0.2)
    assert np.ptp(color(db, 4.0, np.random.default_rng(0)), axis=1).max() == 0


def test_a_pass_band_leaves_the_inside_alone():
    out = band_limit(np.zeros((128, 2), np.float32), 200, 8000, SPEC)
    assert out[:, 0].max() == 0
    assert out[0, 0] < -5
    assert out[-1, 0] < -25
    assert (out[40:100] == 0).all()


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_ratio_asked_for(snr_db):
    music = q9_to_db(tone(440)[:, :100])
    noisy = add_noise(music, snr_db, SPEC, np.random.default_rng(0))
    power, clean = 10 ** (noisy.astype(np.float64) / 10), 10 ** (music.astype(np.float64) / 10)
    assert 10 * math.log10(clean.mean() / (power - clean).mean()) == pytest.approx(snr_db, abs=0.01)
    assert (noisy >= music - 1e-3).all()


def test_masks_hold_the_mean_and_are_no_wider_than_allowed(frames):
    db = q9_to_db(frames[:, :128])
    config = AugmentConfig(time_masks=1, time_mask_frames=10, band_masks=1, band_mask_bands=5)
    for seed in range(20):
        out = mask(db, config, 80, np.random.default_rng(seed))
        changed = out != db
        assert changed.all(axis=0).sum() <= 10
        assert changed.all(axis=1).sum() <= 5
        assert len(np.unique(out[changed])) <= 1


def test_masks_are_filled_with_the_mean_of_what_the_normalizer_leaves():
    """One cell at 100 dB, half of the others at 60 dB and half far below the floor of 100 - 80 dB."""
    db = np.full((4, 8), 60, np.float32)
    db[:, 4:] = -50
    db[0, 0] = 100
    config = AugmentConfig(time_masks=1, time_mask_frames=8, band_masks=0)
    fills = {float(value) for seed in range(30) for value in mask(db, config, 80, np.random.default_rng(seed)).flat}
    assert fills == {100.0, 60.0, -50.0, (100 + 15 * 60 + 16 * 20) / 32}


def test_as_many_masks_as_asked_for_along_the_axis_asked_for(frames):
    db = q9_to_db(frames[:, :128])
    for settings_, axis in (
        ({"time_masks": 3, "time_mask_frames": 4}, 0),
        ({"band_masks": 3, "band_mask_bands": 4}, 1),
    ):
        covered = [
            int((mask(db, AugmentConfig(**settings_), 80, np.random.default_rng(seed)) != db).all(axis=axis).sum())
            for seed in range(50)
        ]
        assert 8 < max(covered) <= 12  # more than two masks of at most four could cover


def test_mixup_is_convex_in_targets_and_keeps_the_contract():
    rng = np.random.default_rng(0)
    windows = rng.uniform(0, 80, (6, 1, 128, 128)).astype(np.float32)
    windows[:, :, 0, 0] = 80
    targets = np.eye(6, dtype=np.float32)
    mixed, labels = mixup(windows, targets, 0.4, 80, rng)
    assert labels.sum(axis=1) == pytest.approx(1)
    assert (labels.argmax(axis=1) == np.arange(6)).all()
    assert mixed.max(axis=(1, 2, 3)) == pytest.approx(80)
    assert mixed.min() >= 0
    same, _ = mixup(np.repeat(windows[:1], 6, axis=0), targets, 0.4, 80, rng)
    assert same[3] == pytest.approx(windows[0], abs=1e-3)


def test_q9_round_trip(frames):
    assert np.array_equal(db_to_q9(q9_to_db(frames)), frames)


def test_wrong_settings_are_refused():
    with pytest.raises(UsageError, match="none, light, strong"):
        augment_preset("heavy")
    for values in ({"stretch": -0.1}, {"noise": 1.5}, {"snr_low_db": 60.0}, {"mixup": math.nan}):
        with pytest.raises(UsageError):
            AugmentConfig(**values)


def test_the_table_of_the_page_is_that_of_the_presets():
    text = (ROOT / "docs" / "augment.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.+?) \|$", text, re.MULTILINE))
    light, strong = AUGMENT_PRESETS["light"], AUGMENT_PRESETS["strong"]
    expected = {
        "tempo, at most": [f"±{100 * c.stretch:g} %" for c in (light, strong)],
        "frequency response of a microphone or room, standard deviation": [
            f"{c.color_db:g} dB" for c in (light, strong)
        ],
        "a pass band, with probability": [f"{c.band_limit:g}" for c in (light, strong)],
        f"noise, with probability, {light.snr_low_db:g} to {strong.snr_high_db:g} dB below": [
            f"{c.noise:g}" for c in (light, strong)
        ],
        "masks over time, over bands": [f"{c.time_masks}, {c.band_masks}" for c in (light, strong)],
        "mixup, Beta distribution's parameter": [f"{c.mixup:g}" for c in (light, strong)],
        "pitch, at most": ["1 semitone", "2 semitones"],
    }
    assert (light.semitones, strong.semitones) == (1, 2)
    for name, values in expected.items():
        assert rows[name] == " | ".join(values), name
