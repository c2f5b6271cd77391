"""Augmentation of log-mel windows: what can happen to music between a recording and a device's microphone.

All transforms work on dB before the window normalizer, so that an augmented window meets the contract of the
network's input: its maximum is 80 dB above the floor. A change of gain is not among the transforms because the
normalizer removes it exactly, as a test shows.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import crop
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import FrontendSpec, Tables
from edgegenre_runtime.frontend.decibels import db_to_q9, q9_to_db
from edgegenre_runtime.frontend.tables import mel_weights

__all__ = [
    "AUGMENT_PRESETS",
    "AugmentConfig",
    "add_noise",
    "augment_preset",
    "band_centers_hz",
    "band_limit",
    "color",
    "draw_window",
    "mask",
    "mixup",
    "pitch_shift",
    "time_stretch",
]

_KNOTS = 6
_CUT_SLOPE_DB = 3.0

Db = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Augmentation of a training window; zero switches a transform off.

    Attributes
    ----------
    stretch
        Largest change of tempo: the rate is drawn log-uniformly from ``1 / (1 + stretch)`` to ``1 + stretch``.
    semitones
        Largest pitch shift, either way.
    color_db
        Standard deviation in dB of the knots of a random frequency response (microphone, room, tilt).
    band_limit, noise
        Probability of a random pass band, and of additive noise.
    snr_low_db, snr_high_db
        Range of the noise's signal-to-noise ratio.
    time_masks, time_mask_frames, band_masks, band_mask_bands
        Number of masks, and their largest width.
    mixup
        Parameter of the Beta distribution by which two windows of a batch are mixed.
    """

    stretch: float = 0.0
    semitones: float = 0.0
    color_db: float = 0.0
    band_limit: float = 0.0
    noise: float = 0.0
    snr_low_db: float = 15.0
    snr_high_db: float = 45.0
    time_masks: int = 0
    time_mask_frames: int = 24
    band_masks: int = 0
    band_mask_bands: int = 16
    mixup: float = 0.0

    def __post_init__(self) -> None:
        numbers = dataclasses.asdict(self)
        bad = sorted(name for name, value in numbers.items() if not 0 <= value < math.inf)
        bad += [name for name in ("band_limit", "noise", "stretch") if numbers[name] > 1]
        if bad or self.snr_low_db > self.snr_high_db:
            raise UsageError(
                f"augmentation: {', '.join(bad) or 'snr_low_db'} is out of range; nothing may be negative, stretch "
                "and probabilities are at most 1, and snr_low_db is not above snr_high_db"
            )


AUGMENT_PRESETS: dict[str, AugmentConfig] = {
    "none": AugmentConfig(),
    "light": AugmentConfig(stretch=0.1, semitones=1.0, color_db=3.0, time_masks=1, band_masks=1),
    "strong": AugmentConfig(
        stretch=0.25, semitones=2.0, color_db=5.0, band_limit=0.15, noise=0.3, time_masks=2, band_masks=2, mixup=0.3
    ),
}


def augment_preset(name: str) -> AugmentConfig:
    """Return a preset; raises :class:`UsageError` for an unknown name."""
    if name not in AUGMENT_PRESETS:
        raise UsageError(f"augmentation {name!r} is unknown; there are: {', '.join(AUGMENT_PRESETS)}")
    return AUGMENT_PRESETS[name]


def draw_window(
    frames_q9: npt.NDArray[np.int16], config: AugmentConfig, tables: Tables, rng: np.random.Generator
) -> npt.NDArray[np.int16]:
    """Draw a random window of a track and augment it, ready for the normalizer.

    Parameters
    ----------
    frames_q9
        int16 [n_mels, T], a track's log-mel frames.
    config, tables, rng
        The augmentation, the front-end, and the random generator.

    Returns
    -------
    numpy.ndarray
        int16 [n_mels, frames_per_window] in Q9.
    """
    spec = tables.spec
    limit = math.log1p(config.stretch)
    n_source = max(2, round(spec.frames_per_window * math.exp(rng.uniform(-limit, limit))))
    start = int(rng.integers(max(frames_q9.shape[1] - n_source, 0) + 1))
    source = crop(frames_q9, start, n_source)
    if config == AugmentConfig(mixup=config.mixup):
        return source
    db = time_stretch(q9_to_db(source), spec.frames_per_window)
    if config.semitones:
        db = pitch_shift(db, rng.uniform(-config.semitones, config.semitones), spec)
    if config.color_db:
        db = color(db, config.color_db, rng)
    if rng.random() < config.noise:
        db = add_noise(db, rng.uniform(config.snr_low_db, config.snr_high_db), spec, rng)
    if rng.random() < config.band_limit:
        db = band_limit(db, rng.uniform(40.0, 300.0), math.exp(rng.uniform(math.log(3000), math.log(9000))), spec)
    return db_to_q9(mask(db, config, spec.top_db, rng))


def time_stretch(db: Db, n_frames: int) -> Db:
    """Resample float32 [M, T] dB linearly along time to [M, n_frames]: tempo changes, pitch does not."""
    T = db.shape[1]
    if n_frames == T:
        return db
    at = np.linspace(0, T - 1, n_frames)
    left = np.minimum(at.astype(np.int64), T - 2)
    part = (at - left).astype(np.float32)
    stretched: Db = db[:, left] * (1 - part) + db[:, left + 1] * part
    return stretched


def pitch_shift(db: Db, semitones: float, spec: FrontendSpec) -> Db:
    """Move every frequency of float32 [M, T] dB by the same ratio, along the mel scale (linear below 1 kHz).

    A band takes the level, interpolated in dB, at the frequency that is ``semitones`` below its center; where that
    lies beyond the outer bands it takes theirs. The bands' differing widths are not compensated.
    """
    centers_hz = band_centers_hz(spec)
    M = len(centers_hz)
    at = np.interp(centers_hz * 2.0 ** (-semitones / 12), centers_hz, np.arange(M))
    left = np.minimum(at.astype(np.int64), M - 2)
    part = (at - left).astype(np.float32)[:, None]
    shifted: Db = db[left] * (1 - part) + db[left + 1] * part
    return shifted


def color(db: Db, knots_db: float, rng: np.random.Generator) -> Db:
    """Add a smooth random frequency response, the same in every frame: a microphone, a room, a tilt.

    Six knots over the bands, normally distributed with standard deviation ``knots_db``, interpolated linearly.
    """
    M = db.shape[0]
    curve = np.interp(np.arange(M), np.linspace(0, M - 1, _KNOTS), rng.normal(0, knots_db, _KNOTS))
    return db + curve.astype(np.float32)[:, None]


def band_limit(db: Db, low_hz: float, high_hz: float, spec: FrontendSpec) -> Db:
    """Let a pass band through; outside it the level falls by 3 dB a band."""
    centers_hz = band_centers_hz(spec)
    bands = np.arange(len(centers_hz))
    low, high = np.interp([low_hz, high_hz], centers_hz, bands)
    outside = np.maximum(low - bands, 0) + np.maximum(bands - high, 0)
    return db - (_CUT_SLOPE_DB * outside).astype(np.float32)[:, None]


def add_noise(db: Db, snr_db: float, spec: FrontendSpec, rng: np.random.Generator) -> Db:
    """Add stationary noise in the power domain.

    Its color lies between white (flat over area-normed bands) and pink (−3 dB an octave); each cell fluctuates
    like the mean of as many independent bin powers as its band holds (a Gamma distribution).

    Parameters
    ----------
    db
        float32 [M, T], dB of power.
    snr_db
        Mean power of the window's cells over mean power of the noise's cells, in dB.
    """
    centers_hz, n_free = _band_facts(spec)
    shape = (centers_hz / 1000.0) ** -rng.uniform(0, 1)
    noise = rng.standard_gamma(n_free[:, None], db.shape) * (shape / n_free)[:, None]
    power = 10.0 ** (db.astype(np.float64) / 10)
    noise *= power.mean() / noise.mean() * 10.0 ** (-snr_db / 10)
    return (10.0 * np.log10(np.maximum(power + noise, 1e-30))).astype(np.float32)


def mask(db: Db, config: AugmentConfig, top_db: int, rng: np.random.Generator) -> Db:
    """Blank random frames and bands with the window's mean level (Park et al., *SpecAugment*, 2019).

    The mean of the levels clipped at ``top_db`` below the maximum, not the floor: silence and the network's zero
    padding are at the floor.
    """
    M, T = db.shape
    out, level = db, None
    for axis, count, widest in (
        (1, config.time_masks, min(config.time_mask_frames, T)),
        (0, config.band_masks, min(config.band_mask_bands, M)),
    ):
        for _ in range(count):
            if level is None:
                level, out = np.maximum(db, db.max() - top_db).mean(), db.copy()
            width = int(rng.integers(widest + 1))
            first = int(rng.integers(db.shape[axis] - width + 1))
            out[(slice(None),) * axis + (slice(first, first + width),)] = level
    return out


def mixup(
    windows_db: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    alpha: float,
    top_db: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mix every window of a batch with another, in power, as if both records played at once (Zhang et al., 2018).

    Parameters
    ----------
    windows_db
        float32 [B, 1, M, T], dB above the floor, each window's maximum at ``top_db``.
    targets
        float32 [B, C], probabilities.
    alpha
        The share of the first is drawn from Beta(alpha, alpha), and swapped to be at least one half.

    Returns
    -------
    windows_db, targets
        Mixed alike; windows are normalized again, so that their maximum is ``top_db`` and nothing is below 0.
    """
    B = len(windows_db)
    share = rng.beta(alpha, alpha, B).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(B)
    wide = share[:, None, None, None]
    power = wide * 10.0 ** (windows_db / 10) + (1 - wide) * 10.0 ** (windows_db[other] / 10)
    db = 10.0 * np.log10(power)
    db = np.maximum(db - db.max(axis=(1, 2, 3), keepdims=True) + top_db, 0)
    return db.astype(np.float32), share[:, None] * targets + (1 - share[:, None]) * targets[other]


def band_centers_hz(spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Return the center of gravity of each mel band in Hz, float64 [n_mels]."""
    return _band_facts(spec)[0]


@functools.cache
def _band_facts(spec: FrontendSpec) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return center in Hz and number of independent bins of each mel band, both float64 [n_mels].

    Independent bins: ``(Σw)² / Σw²`` over 1.5, the noise bandwidth of a Hann window in bins; at least 1.
    """
    weights = mel_weights(spec)
    bins_hz = np.arange(weights.shape[1]) * spec.sample_rate_hz / spec.n_fft
    total = weights.sum(axis=1)
    return weights @ bins_hz / total, np.maximum(total**2 / (weights**2).sum(axis=1) / 1.5, 1.0)
