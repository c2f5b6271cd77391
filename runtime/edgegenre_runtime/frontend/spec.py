"""What the front-end computes, as a frozen record of parameters and two released presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import SpecError

__all__ = ["FFT_SIZES", "PRESETS", "SPEC_VERSION", "TOP_DB", "FrontendSpec", "preset"]

SPEC_VERSION = 1
TOP_DB = 80
"""Range below a window's maximum that the released front-ends keep, in dB."""
FFT_SIZES = (8, 32, 128, 512, 2048, 8192)
"""Twice a power of four: the real FFT is a half-length complex radix-4 one."""


@dataclasses.dataclass(frozen=True, slots=True)
class FrontendSpec:
    """Parameters of the mel front-end: periodic Hann window, power 2.0, Slaney mel with area norm, no padding.

    Attributes
    ----------
    name
        Name of the preset, ``"custom"`` for any other.
    version
        Version of the arithmetic (this file and the stages); 1.
    sample_rate_hz
        Sample rate of the PCM, in Hz.
    n_fft
        Samples of a frame, one of :data:`FFT_SIZES`.
    hop_samples
        Samples from one frame to the next.
    n_mels
        Mel bands.
    fmin_hz, fmax_hz
        Edges of the mel scale, in Hz; ``fmax_hz`` is at most half the sample rate.
    frames_per_window
        Frames in one network window.
    top_db
        Range below the window's maximum that the network sees, in dB.
    silence_dbfs
        A window whose loudest mel cell is below that of a 1 kHz sine at this level (dB relative to a
        full-scale sine) is reported as silence.
    """

    name: str = "custom"
    version: int = SPEC_VERSION
    sample_rate_hz: int = 22050
    n_fft: int = 2048
    hop_samples: int = 512
    n_mels: int = 128
    fmin_hz: int = 0
    fmax_hz: int = 11025
    frames_per_window: int = 128
    top_db: int = TOP_DB
    silence_dbfs: int = -70

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind = str if field.name == "name" else int
            if type(getattr(self, field.name)) is not kind:
                raise SpecError(f"spec key {field.name!r} must be of type {kind.__name__}")
        if self.version != SPEC_VERSION:
            raise SpecError(f"front-end spec version {self.version} is unknown; this edgegenre knows {SPEC_VERSION}")
        if self.n_fft not in FFT_SIZES:
            raise SpecError(f"n_fft is {self.n_fft}; allowed are {', '.join(map(str, FFT_SIZES))}")
        if not 1 <= self.hop_samples <= 2**20 or not 1 <= self.n_mels <= 512:
            raise SpecError(f"hop_samples {self.hop_samples} or n_mels {self.n_mels} is out of range")
        if not 1 <= self.sample_rate_hz <= 2**20:
            raise SpecError(f"sample_rate_hz is out of range; allowed are 1 to {2**20}")
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise SpecError(f"need 0 <= fmin_hz < fmax_hz <= {self.sample_rate_hz / 2:g} Hz (half the sample rate)")
        if not 1 <= self.frames_per_window <= 4096:
            raise SpecError(f"frames_per_window is {self.frames_per_window}; allowed are 1 to 4096")
        if not 10 <= self.top_db <= 90 or not -120 <= self.silence_dbfs <= 0:
            raise SpecError("top_db must be 10 to 90 and silence_dbfs -120 to 0")

    @property
    def window_samples(self) -> int:
        """Samples of PCM that one network window covers."""
        return (self.frames_per_window - 1) * self.hop_samples + self.n_fft

    @property
    def window_s(self) -> float:
        """Seconds of audio that one network window covers."""
        return self.window_samples / self.sample_rate_hz

    @property
    def n_bins(self) -> int:
        """FFT bins from DC to Nyquist."""
        return self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Whole frames in ``n_samples`` of PCM (no padding)."""
        return 0 if n_samples < self.n_fft else 1 + (n_samples - self.n_fft) // self.hop_samples

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrontendSpec:
        """Build a spec from :meth:`to_dict`; unknown or missing keys raise :class:`SpecError`."""
        known = {field.name for field in dataclasses.fields(cls)}
        if set(values) != known:
            unexpected = sorted(set(values) ^ known)
            raise SpecError(f"front-end spec has unknown or missing keys: {', '.join(unexpected)}")
        return cls(**values)


PRESETS = {
    "seed3s": FrontendSpec(name="seed3s", hop_samples=512),
    "wide9s": FrontendSpec(name="wide9s", hop_samples=1536),
}


def preset(name: str) -> FrontendSpec:
    """Return the preset called ``name``; raises :class:`SpecError` naming the ones there are."""
    if name not in PRESETS:
        raise SpecError(f"front-end preset {name!r} is unknown; there are: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]
