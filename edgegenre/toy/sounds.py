"""Sounds that are no music, from a seed: noise, hum, rain, engines, applause, beeps, silence, and one instrument alone.

They are what a microphone hears between songs; `edgegenre data sounds` measures with them how often a network is
asked for a genre that is not there. NumPy only; every sound is float64 [n] with a peak near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError

from .synth import Timbre, chord

__all__ = ["KINDS", "render_sound", "rendered_sounds"]

_Sound = npt.NDArray[np.float64]
_MAX_SECONDS = 600.0
_DTMF_HZ = ((697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0))  # ITU-T Q.23
_CALLS = ((440.0, 480.0, 2.0, 4.0), (480.0, 620.0, 0.5, 0.5), (350.0, 440.0, 9.0, 0.1), (425.0, 425.0, 1.0, 4.0))
_TIMBRES = (
    Timbre("pluck", rolloff=0.3, decay_s=1.5),
    Timbre("pluck", rolloff=0.8, decay_s=2.5),
    Timbre("wave", rolloff=1.2, attack_s=0.06, vibrato_cents=12.0),
    Timbre("wave", rolloff=1.0, attack_s=0.03, odd_only=True),
    Timbre("wave", rolloff=1.6, attack_s=0.02, decay_s=0.8),
    Timbre("fm", ratio=2.0, index=1.5, decay_s=1.2),
    Timbre("fm", ratio=3.5, index=1.0, decay_s=0.9),
)


def render_sound(kind: str, seed: int, seconds: float, sample_rate_hz: int = 22050) -> npt.NDArray[np.int16]:
    """Render one sound.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    seed
        Decides everything that varies, the level included; not negative.
    seconds
        Length, up to ten minutes.
    sample_rate_hz
        Sample rate in Hz.

    Returns
    -------
    numpy.ndarray
        int16 [round(seconds * sample_rate_hz)], mono.

    Raises
    ------
    UsageError
        An unknown kind, or a length out of range.
    """
    if kind not in KINDS:
        raise UsageError(f"sound {kind!r} is unknown; there are: {', '.join(KINDS)}")
    if not 0 < seconds <= _MAX_SECONDS:
        raise UsageError(f"{seconds:g} s were given; allowed are up to {_MAX_SECONDS:g}")
    rng = np.random.default_rng([seed, *kind.encode()])
    n = round(seconds * sample_rate_hz)
    sound = KINDS[kind](n, sample_rate_hz, rng)
    level_db = rng.uniform(-64.0, -50.0) if kind == "room" else rng.uniform(-30.0, -6.0)
    sound *= 10.0 ** (level_db / 20.0) / max(float(np.abs(sound).max()), 1e-9)
    pcm: npt.NDArray[np.int16] = np.rint(32767.0 * sound).astype(np.int16)
    return pcm


def rendered_sounds(clips: int, seconds: float, seed: int) -> Iterator[tuple[str, str, npt.NDArray[np.int16]]]:
    """Yield kind, a source of its own, and int16 PCM at 22050 Hz of ``clips`` sounds of every kind."""
    for kind in KINDS:
        for clip in range(clips):
            yield kind, f"rendered {clip}", render_sound(kind, seed + clip, seconds)


def _colored(n: int, exponent: float, rng: np.random.Generator, low_hz: float = 20.0, rate_hz: int = 22050) -> _Sound:
    """Return noise whose power falls with frequency to the ``exponent``: 0 white, 1 pink, 2 brown."""
    hz = np.maximum(np.fft.rfftfreq(n, 1 / rate_hz), low_hz)
    spectrum = (rng.standard_normal(hz.size) + 1j * rng.standard_normal(hz.size)) * hz ** (-exponent / 2)
    noise: _Sound = np.fft.irfft(spectrum, n)
    noise /= noise.std()
    return noise


def _band(n: int, center_hz: float, octaves: float, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Return noise around a frequency, Gaussian over octaves."""
    hz = np.maximum(np.fft.rfftfreq(n, 1 / rate_hz), 20.0)
    shape = np.exp(-0.5 * (np.log2(hz / center_hz) / octaves) ** 2)
    noise: _Sound = np.fft.irfft(shape * np.exp(2j * np.pi * rng.random(hz.size)), n)
    noise /= max(float(noise.std()), 1e-12)
    return noise


def _slow(n: int, knots_per_s: float, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Return a random curve, standard normal at its knots and linear between them."""
    n_knots = max(round(n / rate_hz * knots_per_s), 1) + 1
    curve: _Sound = np.interp(np.linspace(0, n_knots - 1, n), np.arange(n_knots), rng.standard_normal(n_knots))
    return curve


def _hiss(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    gain_db = rng.uniform(0, 3) * _slow(n, 0.5, rate_hz, rng)
    return _colored(n, rng.uniform(-0.5, 2.5), rng, 20.0, rate_hz) * 10 ** (gain_db / 20)


def _hum(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Mains, fan or compressor: harmonics over some noise, swelling a little."""
    t = np.arange(n) / rate_hz
    base_hz = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(30, 300)])
    total = rng.uniform(0.02, 0.5) * _colored(n, rng.uniform(0, 2), rng, 20.0, rate_hz)
    for k in range(1, int(rng.integers(3, 20))):
        total += k ** -rng.uniform(0.5, 1.5) * np.sin(2 * np.pi * (k * base_hz * t + rng.random()))
    return total * (1 + rng.uniform(0, 0.3) * np.sin(2 * np.pi * rng.uniform(0.1, 3) * t))


def _rain(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    total = rng.uniform(0.2, 1) * _colored(n, rng.uniform(0, 1), rng, 200.0, rate_hz)
    return total + _hits(n, rng.uniform(20, 200), (1500, 8000), (0.002, 0.01), rate_hz, rng)


def _wind(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    gusts_db = rng.uniform(3, 8) * _slow(n, rng.uniform(0.3, 1), rate_hz, rng)
    howl = rng.uniform(0, 0.6) * _band(n, rng.uniform(250, 900), rng.uniform(0.15, 0.5), rate_hz, rng)
    return (_colored(n, rng.uniform(1, 2.5), rng, 40.0, rate_hz) + howl) * 10 ** (gusts_db / 20)


def _engine(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Return firing pulses at a speed that wanders, over road noise."""
    speed_hz = rng.uniform(12, 120) * 2.0 ** (rng.uniform(0.02, 0.5) * _slow(n, 0.4, rate_hz, rng))
    phase = np.cumsum(speed_hz) / rate_hz
    pulses = np.exp(-8 * (phase % 1.0)) * (1 + 0.3 * _slow(n, 40, rate_hz, rng))
    noise = _colored(n, rng.uniform(1, 2), rng, 30.0, rate_hz)
    total: _Sound = pulses - pulses.mean() + rng.uniform(0.02, 0.3) * noise
    return total


def _hits(
    n: int,
    per_s: float,
    range_hz: tuple[float, float],
    range_s: tuple[float, float],
    rate_hz: int,
    rng: np.random.Generator,
) -> _Sound:
    """Return random short bursts of band noise: drops, claps, knocks."""
    total = np.zeros(n)
    size = round(8 * range_s[1] * rate_hz)
    bank = [_band(size, rng.uniform(*range_hz), 0.5, rate_hz, rng) for _ in range(24)]
    for at in rng.integers(0, max(n - size, 1), rng.poisson(per_s * n / rate_hz)):
        decay = np.exp(-np.arange(size) / (rng.uniform(*range_s) * rate_hz))
        burst = bank[int(rng.integers(len(bank)))] * decay * rng.uniform(0.1, 1)
        total[at : at + size] += burst[: n - at]
    return total


def _applause(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Hands of a few to a few hundred people: bursts around 1 kHz, swelling and thinning out."""
    claps = _hits(n, 10 ** rng.uniform(1.3, 2.8), (700, 2500), (0.004, 0.015), rate_hz, rng)
    return claps * 10 ** (rng.uniform(0, 4) * _slow(n, 0.3, rate_hz, rng) / 20)


def _knocks(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Keys, steps, dishes: single hits without a beat, over a quiet room."""
    hits = _hits(n, rng.uniform(1, 8), (150, 6000), (0.003, 0.05), rate_hz, rng)
    return hits + 0.01 * _colored(n, 1.0, rng, 20.0, rate_hz)


def _beeps(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """Dialing, call progress and alarms: one or two sines, switched; a line's noise below."""
    total, t = 0.003 * _colored(n, 0.5, rng, 20.0, rate_hz), np.arange(n) / rate_hz
    first_hz, second_hz, on_s, off_s = _CALLS[int(rng.integers(len(_CALLS)))]
    what = rng.integers(3)
    if what == 1:
        on_s, off_s = rng.uniform(0.05, 0.2), rng.uniform(0.05, 0.2)
    elif what == 2:
        first_hz = second_hz = rng.uniform(400, 3500)
        on_s, off_s = rng.uniform(0.05, 1.0), rng.uniform(0.05, 1.0)
    for start_s in np.arange(0, n / rate_hz, on_s + off_s):
        if what == 1:
            first_hz, second_hz = (float(rng.choice(row)) for row in _DTMF_HZ)
        part = (t >= start_s) & (t < start_s + on_s)
        total[part] += np.sin(2 * np.pi * first_hz * t[part]) + np.sin(2 * np.pi * second_hz * t[part])
    return total


def _room(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    return _colored(n, rng.uniform(0, 2), rng, 20.0, rate_hz)


def _instrument(n: int, rate_hz: int, rng: np.random.Generator) -> _Sound:
    """One instrument that practices: a scale up and down, or a single note again and again, no accompaniment."""
    timbre = _TIMBRES[int(rng.integers(len(_TIMBRES)))]
    step_s, root = rng.uniform(0.2, 0.9), int(rng.integers(45, 72))
    scale = (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2) if rng.random() < 0.7 else (0,)
    total = 0.001 * _colored(n, 1.0, rng, 20.0, rate_hz)
    for index, at in enumerate(range(0, n, round(step_s * rate_hz))):
        note = chord([root + scale[index % len(scale)]], 1.1 * step_s, timbre, rate_hz, rng)[: n - at]
        total[at : at + len(note)] += note
    return total


KINDS: dict[str, Callable[[int, int, np.random.Generator], _Sound]] = {
    "applause": _applause,
    "beeps": _beeps,
    "engine": _engine,
    "hiss": _hiss,
    "hum": _hum,
    "instrument": _instrument,
    "knocks": _knocks,
    "rain": _rain,
    "room": _room,
    "wind": _wind,
}
"""Every kind of sound and what renders it from samples, rate and random numbers."""
