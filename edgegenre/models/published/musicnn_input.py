"""From our windows to the input that musicnn was trained on: a fixed layer, derived here, with nothing learned.

musicnn takes ``log10(1 + 10000 m)`` where ``m`` are librosa's 96 Slaney mel bands of the power, 0 to 8 kHz: 16 kHz, FFT
and Hann window of 512, hop 256, triangles of area 1. We have 128 such bands of 0 to 11 025 Hz at 22 050 Hz: FFT and
window of 2048, hop 512, in dB, of a window whose loudest cell is always 80. The map, in three steps:

1. *Frequency.* The level of each of their bands at its center of gravity is interpolated between our two nearest
   bands, in dB over Hz.
2. *Level.* Of a spectral density D (power per Hz), an FFT of a window w at rate r makes bins of ``D · r/2 · Σw²``. Our
   band, of area 1 over bins of r/2048 Hz, is ``D · r/2 · 768 / (r/2048 Hz)``; theirs is ``D · 8 kHz · 192`` times the
   sum of its weights, which for the lowest bands, narrower than a few bins, is not quite 1 over the width of a bin.
   The windows hold no absolute level: the loudest cell is taken to be at :data:`PEAK_DB`.
3. *Time.* Our frames are 23.2 ms apart at ``seed3s``, theirs 16 ms: 128 frames become 186 by linear interpolation.

The logarithm of one more than a power is, as a function of dB, a softplus; int8 runtimes have no such operator, so it
is the sum of four ReLUs, which is nowhere off by more than 0.03.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_runtime.frontend import preset
from edgegenre_runtime.frontend.spec import TOP_DB, FrontendSpec
from edgegenre_runtime.frontend.tables import mel_edges_hz, mel_weights

__all__ = ["MUSICNN_BANDS", "MUSICNN_FRAMES", "PEAK_DB", "MusicnnMels", "design_musicnn_map"]

PEAK_DB = 28.0
"""Level of a window's loudest cell, dB of librosa's power mel at full scale 1: the median over ten clips of GTZAN."""

MUSICNN_BANDS = 96
_OURS = preset("seed3s")
_THEIRS = FrontendSpec(sample_rate_hz=16000, n_fft=512, hop_samples=256, n_mels=MUSICNN_BANDS, fmax_hz=8000)
_FRAMES_FACTOR = _OURS.hop_samples / _OURS.sample_rate_hz / (_THEIRS.hop_samples / _THEIRS.sample_rate_hz)
MUSICNN_FRAMES = round(_OURS.frames_per_window * _FRAMES_FACTOR)
_GAIN = 10000.0
_KNEES = (-3.0, -1.0, 1.0, 3.0)
"""Where the ReLUs begin whose sum is the logarithm, in nepers."""
_Float = npt.NDArray[np.float64]


def design_musicnn_map() -> tuple[_Float, _Float]:
    """Design the map from our bands to musicnn's.

    Returns
    -------
    weights
        float64 [96, 128], musicnn's band by our band; a row sums to 1.
    offset_db
        float64 [96], what to add to an interpolated level.
    """
    triangles = mel_weights(_THEIRS)
    total = triangles.sum(axis=1)
    centers_hz = triangles @ (np.arange(_THEIRS.n_bins) * (_THEIRS.sample_rate_hz / _THEIRS.n_fft)) / total
    ours_hz = mel_edges_hz(_OURS)[1:-1]
    weights = np.stack([np.interp(centers_hz, ours_hz, row) for row in np.eye(_OURS.n_mels)], axis=1)
    ours = _noise_power(_OURS) / (_OURS.sample_rate_hz / _OURS.n_fft)
    return weights, 10 * np.log10(_noise_power(_THEIRS) * total / ours)


def _noise_power(spec: FrontendSpec) -> float:
    """Return the mean power of a bin for noise of spectral density 1 per Hz."""
    return float(spec.sample_rate_hz / 2 * np.sum(np.hanning(spec.n_fft + 1)[:-1] ** 2))


class MusicnnMels(nn.Module):
    """The map as a layer, of int8's operators; its tables are derived, so they are not in the state dict."""

    bands: torch.Tensor
    offset: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        weights, offset_db = design_musicnn_map()
        to_nepers = np.log(10) / 10
        offset = (offset_db + PEAK_DB - TOP_DB) * to_nepers + np.log(_GAIN)
        n_frames = _OURS.frames_per_window
        between = nn.functional.interpolate(
            torch.eye(n_frames)[None], size=MUSICNN_FRAMES, mode="linear", align_corners=False
        )
        bands = torch.from_numpy(weights * to_nepers).float()
        self.register_buffer("bands", bands[:, :, None, None], persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).float(), persistent=False)
        for i, (knee, slope) in enumerate(zip(_KNEES, softplus_slopes(), strict=True)):
            frames = (between[0].T[:, :, None, None] * slope).contiguous()  # litert-torch reads others by wrong strides
            self.register_buffer(f"frames{i}", frames, persistent=False)
            self.register_buffer(f"knee{i}", torch.full((MUSICNN_FRAMES,), -slope * knee), persistent=False)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, 128] in dB above the floor to musicnn's input, float32 [B, 1, 96, 186]."""
        bands = nn.functional.conv2d(db_above_floor.transpose(1, 2), self.bands, self.offset)  # [B, 96, 1, 128]
        bands = bands.permute(0, 3, 2, 1)  # [B, 128, 1, 96], frames as channels
        ramps = [
            torch.relu(nn.functional.conv2d(bands, self.get_buffer(f"frames{i}"), self.get_buffer(f"knee{i}")))
            for i in range(len(_KNEES))
        ]
        first, second, third, fourth = ramps
        return (first + second + third + fourth).permute(0, 2, 3, 1)


def softplus_slopes() -> tuple[float, ...]:
    """Return the slopes of ReLUs whose sum is ``log10(1 + exp(u))``, by least squares over -12 to 12 nepers."""
    u = torch.linspace(-12, 12, 2401, dtype=torch.float64)
    ramps = torch.stack([torch.relu(u - knee) for knee in _KNEES], dim=1)
    wanted = nn.functional.softplus(u)[:, None] / math.log(10)
    return tuple(torch.linalg.lstsq(ramps, wanted).solution[:, 0].tolist())
