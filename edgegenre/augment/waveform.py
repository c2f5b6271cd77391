"""Augmentation of waveforms, for the offline expansion of a data set: tempo, pitch, color, room, noise, level.

audiomentations does tempo, pitch and filters. It draws from Python's global generators, which threads would share;
so every parameter is drawn here and handed over as a range of one value, and noise and room are made here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import audiomentations
import numpy as np
import numpy.typing as npt

__all__ = [
    "WAVEFORM_TRANSFORMS",
    "add_gaussian_noise",
    "color",
    "gain",
    "pitch",
    "room",
    "tempo",
    "waveform_augmenter",
]

Samples = npt.NDArray[np.float32]
Transform = Callable[[Samples, int, np.random.Generator], Samples]

_PROBABILITY = 0.5


def waveform_augmenter(
    sample_rate_hz: int,
) -> Callable[[npt.NDArray[np.int16], np.random.Generator], npt.NDArray[np.int16]]:
    """Return a function from int16 PCM and a generator to PCM after each transform with probability one half."""
    return functools.partial(_augment, sample_rate_hz=sample_rate_hz)


def _augment(pcm: npt.NDArray[np.int16], rng: np.random.Generator, *, sample_rate_hz: int) -> npt.NDArray[np.int16]:
    samples = pcm.astype(np.float32) / np.float32(32768)
    for transform in WAVEFORM_TRANSFORMS.values():
        if rng.random() < _PROBABILITY:
            samples = transform(samples, sample_rate_hz, rng)
    out: npt.NDArray[np.int16] = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    return out


def tempo(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Play 0.8 to 1.25 times as fast, at the same pitch; the length changes."""
    rate = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    stretch = audiomentations.TimeStretch(min_rate=rate, max_rate=rate, leave_length_unchanged=False, p=1.0)
    return _apply(stretch, samples, sample_rate_hz)


def pitch(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Shift by up to two semitones either way, at the same tempo."""
    semitones = rng.uniform(-2, 2)
    shift = audiomentations.PitchShift(min_semitones=semitones, max_semitones=semitones, p=1.0)
    return _apply(shift, samples, sample_rate_hz)


def color(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Filter as a microphone does: a low shelf, a peak and a high shelf of up to 8 dB either way."""
    for kind, low_hz, high_hz in (
        (audiomentations.LowShelfFilter, 80, 300),
        (audiomentations.PeakingFilter, 400, 3000),
        (audiomentations.HighShelfFilter, 3000, 8000),
    ):
        hz, gain_db, q = float(rng.uniform(low_hz, high_hz)), float(rng.uniform(-8, 8)), float(rng.uniform(0.5, 1.0))
        place = {"min_center_freq": hz, "max_center_freq": hz, "min_gain_db": gain_db, "max_gain_db": gain_db}
        samples = _apply(kind(**place, min_q=q, max_q=q, p=1.0), samples, sample_rate_hz)
    return samples


def room(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Add reverberation: noise that decays by 60 dB in 0.15 to 0.6 s, 6 to 18 dB below the direct sound's energy."""
    seconds = rng.uniform(0.15, 0.6)
    n = round(seconds * sample_rate_hz)
    tail = rng.normal(size=n) * 10.0 ** (-3 * np.arange(n) / n)
    tail *= 10.0 ** (-rng.uniform(6, 18) / 20) / np.sqrt((tail**2).sum())
    length = len(samples) + n
    wet = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(tail, length), length)[: len(samples)]
    return np.asarray(samples + wet, dtype=np.float32)


def add_gaussian_noise(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Add white Gaussian noise at 15 to 45 dB below the signal's power."""
    level = np.sqrt((samples.astype(np.float64) ** 2).mean()) * 10.0 ** (-rng.uniform(15, 45) / 20)
    return np.asarray(samples + level * rng.normal(size=len(samples)), dtype=np.float32)


def gain(samples: Samples, sample_rate_hz: int, rng: np.random.Generator) -> Samples:
    """Change the level by −12 to +6 dB; what leaves int16 is clipped afterwards, as a recorder would."""
    return np.asarray(samples * 10.0 ** (rng.uniform(-12, 6) / 20), dtype=np.float32)


WAVEFORM_TRANSFORMS: dict[str, Transform] = {
    "tempo": tempo,
    "pitch": pitch,
    "color": color,
    "room": room,
    "noise": add_gaussian_noise,
    "gain": gain,
}
"""The transforms in the order in which they are applied."""


def _apply(transform: Any, samples: Samples, sample_rate_hz: int) -> Samples:
    return np.asarray(transform(samples=samples, sample_rate=sample_rate_hz), dtype=np.float32)
