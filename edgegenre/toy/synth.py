"""Sounds for the toy music: drums, notes of three kinds of timbre, drive and a room. NumPy only.

Every sound is float64 [n] with a peak near 1 at ``rate_hz`` samples a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError

__all__ = ["DRUMS", "Timbre", "chord", "drum", "room"]

_Sound = npt.NDArray[np.float64]

DRUMS = ("clap", "crash", "hat", "kick", "openhat", "ride", "rim", "shaker", "snare", "sub")
_TABLE_SAMPLES = 4096
_RELEASE_S = 0.03


@dataclasses.dataclass(frozen=True, slots=True)
class Timbre:
    """How a note sounds.

    Attributes
    ----------
    kind
        ``"wave"`` (sum of harmonics), ``"pluck"`` (Karplus-Strong string) or ``"fm"`` (two operators).
    rolloff
        Harmonic ``k`` of a wave has amplitude ``k ** -rolloff``; of a pluck it is how dull the string is, 0 to 1.
    odd_only
        Whether a wave has odd harmonics only, as a clarinet or a square wave.
    attack_s, decay_s
        Linear attack and exponential decay in seconds.
    vibrato_cents
        Depth of a 5.5 Hz vibrato of a wave, in cents.
    ratio, index
        Modulator-to-carrier ratio and modulation index of fm.
    drive
        Gain into a tanh, 0 for none.
    """

    kind: str
    rolloff: float = 1.0
    odd_only: bool = False
    attack_s: float = 0.005
    decay_s: float = 1e6
    vibrato_cents: float = 0.0
    ratio: float = 1.0
    index: float = 2.0
    drive: float = 0.0


def chord(
    pitches_midi: Sequence[float], duration_s: float, timbre: Timbre, rate_hz: int, rng: np.random.Generator
) -> _Sound:
    """Return notes sounding together, driven together.

    Parameters
    ----------
    pitches_midi
        MIDI note numbers; 69 is 440 Hz.
    duration_s
        Length in seconds, release included.
    timbre
        How they sound.
    rate_hz
        Sample rate in Hz.
    rng
        Draws phases and the noise that plucks a string.

    Raises
    ------
    UsageError
        A timbre of unknown kind.
    """
    n = max(1, round(duration_s * rate_hz))
    kinds = {"wave": _wave, "pluck": _pluck, "fm": _fm}
    if timbre.kind not in kinds:
        raise UsageError(f"timbre kind {timbre.kind!r} is unknown; there are: {', '.join(kinds)}")
    total = np.zeros(n)
    for pitch in pitches_midi:
        total += kinds[timbre.kind](440.0 * 2.0 ** ((pitch - 69.0) / 12.0), n, timbre, rate_hz, rng)
    total /= max(1.0, len(pitches_midi) ** 0.5)
    if timbre.drive:
        total = np.tanh(timbre.drive * total)
    t = np.arange(n) / rate_hz
    envelope = np.minimum(1.0, t / timbre.attack_s) * np.exp(-t / timbre.decay_s)
    note: _Sound = total * envelope * np.minimum(1.0, (n / rate_hz - t) / _RELEASE_S)
    return note


def drum(name: str, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Return one hit of the drum ``name`` (one of :data:`DRUMS`); raises :class:`UsageError` for any other."""
    if name == "kick":
        return _together(_sweep(rate_hz, 160, 52, 0.025, 0.12), 0.15 * _noise(rate_hz, 0.004, 0, rng))
    if name == "sub":
        return _sweep(rate_hz, 110, 43, 0.05, 0.45)
    if name == "snare":
        return _together(0.5 * _sweep(rate_hz, 240, 185, 0.03, 0.06), 0.9 * _noise(rate_hz, 0.07, 1, rng))
    if name == "clap":
        hit = _noise(rate_hz, 0.09, 1, rng)
        gap = round(0.011 * rate_hz)
        hit[gap:] += hit[:-gap]
        return 0.6 * hit
    if name == "rim":
        return _together(_sweep(rate_hz, 1700, 1650, 0.01, 0.012), 0.3 * _noise(rate_hz, 0.006, 1, rng))
    noises = {"hat": (0.025, 2), "openhat": (0.14, 2), "shaker": (0.04, 1), "crash": (0.7, 1), "ride": (0.22, 2)}
    if name not in noises:
        raise UsageError(f"drum {name!r} is unknown; there are: {', '.join(DRUMS)}")
    decay_s, order = noises[name]
    hit = _noise(rate_hz, decay_s, order, rng)
    if name == "ride":
        t = np.arange(hit.size) / rate_hz
        bell = np.sin(2 * np.pi * np.outer((3170.0, 4310.0, 5230.0), t)).sum(axis=0)
        hit = 0.5 * hit + 0.25 * bell * np.exp(-t / 0.3)
    return hit


def room(dry: _Sound, wet: float, decay_s: float, tilt_db: float, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Return ``dry`` with reverberation and a tilted spectrum.

    Parameters
    ----------
    dry
        float64 [n].
    wet
        Gain of the reverberation, 0 to 1.
    decay_s
        Time constant of the reverberation in seconds.
    tilt_db
        Tilt around 1 kHz in dB per octave.
    rate_hz
        Sample rate in Hz.
    rng
        Draws the room.

    Returns
    -------
    numpy.ndarray
        float64 [n].
    """
    n_tail = round(4 * decay_s * rate_hz)
    response = wet * rng.standard_normal(n_tail) * np.exp(-np.arange(n_tail) / (decay_s * rate_hz))
    response /= (decay_s * rate_hz / 2) ** 0.5
    response[0] = 1.0
    n_fft = 1 << (dry.size + n_tail).bit_length()
    freqs_hz = np.maximum(np.fft.rfftfreq(n_fft, 1 / rate_hz), 30.0)
    tilt = (freqs_hz / 1000.0) ** (tilt_db / 6.0206)
    wet_signal: _Sound = np.fft.irfft(np.fft.rfft(dry, n_fft) * np.fft.rfft(response, n_fft) * tilt, n_fft)
    return wet_signal[: dry.size]


def _wave(freq_hz: float, n: int, timbre: Timbre, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Sum harmonics below Nyquist into one cycle and read it off with vibrato."""
    n_harmonics = max(1, min(40, int(0.45 * rate_hz / freq_hz)))
    k = np.arange(1, n_harmonics + 1, 2 if timbre.odd_only else 1)
    spectrum = np.zeros(_TABLE_SAMPLES // 2 + 1, complex)
    spectrum[k] = k**-timbre.rolloff * np.exp(2j * np.pi * rng.random(k.size))
    cycle = np.fft.irfft(spectrum)
    cycle /= np.abs(cycle).max()
    t = np.arange(n) / rate_hz
    cents = timbre.vibrato_cents * np.sin(2 * np.pi * 5.5 * t) * np.minimum(1.0, t / 0.3)
    phase = np.cumsum(freq_hz / rate_hz * 2.0 ** (cents / 1200.0)) + rng.random()
    wave: _Sound = cycle[(phase * _TABLE_SAMPLES).astype(np.int64) % _TABLE_SAMPLES]
    return wave


def _pluck(freq_hz: float, n: int, timbre: Timbre, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Karplus-Strong, one period at a time: each is the last one, averaged with itself a sample later."""
    period = max(2, round(rate_hz / freq_hz))
    string = rng.uniform(-1.0, 1.0, period)
    for _ in range(int(4 * timbre.rolloff)):
        string = 0.5 * (string + np.roll(string, 1))
    string -= string.mean()
    string /= np.abs(string).max()
    periods = np.empty((n // period + 1, period))
    for row in periods:
        row[:] = string
        string = 0.498 * (string + np.roll(string, 1))
    return periods.reshape(-1)[:n]


def _fm(freq_hz: float, n: int, timbre: Timbre, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Two sine operators; the index decays as a struck tine does."""
    t = np.arange(n) / rate_hz
    modulator = timbre.index * np.exp(-t / 0.35) * np.sin(2 * np.pi * freq_hz * timbre.ratio * t)
    tone: _Sound = np.sin(2 * np.pi * (freq_hz * t + rng.random()) + modulator)
    return tone


def _sweep(rate_hz: int, start_hz: float, end_hz: float, sweep_s: float, decay_s: float) -> _Sound:
    """Sine falling from ``start_hz`` to ``end_hz`` with an exponential decay, as a drum skin does."""
    t = np.arange(round(5 * decay_s * rate_hz)) / rate_hz
    freq_hz = end_hz + (start_hz - end_hz) * np.exp(-t / sweep_s)
    hit: _Sound = np.sin(2 * np.pi * np.cumsum(freq_hz) / rate_hz) * np.exp(-t / decay_s)
    return hit


def _noise(rate_hz: int, decay_s: float, order: int, rng: np.random.Generator) -> _Sound:
    """Decaying white noise, differentiated ``order`` times to make it bright, with a peak of 1."""
    n = round(5 * decay_s * rate_hz)
    noise = np.diff(rng.standard_normal(n + order), order) * np.exp(-np.arange(n) / (decay_s * rate_hz))
    hit: _Sound = noise / np.abs(noise).max()
    return hit


def _together(first: _Sound, second: _Sound) -> _Sound:
    """Add two sounds of any lengths."""
    total = np.zeros(max(first.size, second.size))
    total[: first.size] += first
    total[: second.size] += second
    return total
