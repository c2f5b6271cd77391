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

__all__ = ["MUSICNN_BANDS", "PEAK_DB", "MusicnnMels", "design_musicnn_map"]

PEAK_DB = 28.0
"""Level of a window's loudest cell, dB of librosa's power mel at full scale 1: the median over ten clips of GTZAN."""

MUSICNN_BANDS = 96
_OURS = preset("seed3s")
_THEIRS = FrontendSpec(sample_rate_hz=16000, n_fft=512, hop_samples=256, n_mels=MUSICNN_BANDS, fmax_hz=8000)
_FRAMES_FACTOR = _OURS.hop_samples / _OURS.sample_rate_hz / (_THEIRS.hop_samples / _THEIRS.sample_rate_hz)
_GAIN = 10000.0
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
    """The map as a layer; its tables are derived, so they are not in the state dict."""

    weights: torch.Tensor
    offset: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        weights, offset_db = design_musicnn_map()
        to_nepers = np.log(10) / 10
        offset = (offset_db + PEAK_DB - TOP_DB) * to_nepers + np.log(_GAIN)
        self.register_buffer("weights", torch.from_numpy(weights * to_nepers).float(), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).float()[:, None], persistent=False)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to musicnn's input, float32 [B, 1, 96, 1.45 T]."""
        n_frames = round(db_above_floor.shape[3] * _FRAMES_FACTOR)
        bands = torch.matmul(self.weights, db_above_floor)
        bands = nn.functional.interpolate(bands, size=(MUSICNN_BANDS, n_frames), mode="bilinear", align_corners=False)
        return torch.nn.functional.softplus(bands + self.offset) / math.log(10)
