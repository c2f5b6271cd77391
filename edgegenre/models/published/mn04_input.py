"""From our windows to the input that mn04 was trained on: a fixed layer, derived here, with nothing learned.

mn04 takes ``(ln(mel + 1e-5) + 4.5) / 5`` where ``mel`` are 128 kaldi mel bands of 0 to 15 kHz at 32 kHz:
pre-emphasis ``x[t] - 0.97 x[t-1]``, FFT of 1024, Hann window of 800, triangles of height 1 (EfficientAT,
``models/preprocess.py``). We have 128 Slaney bands of 0 to 11 025 Hz at 22 050 Hz: FFT and Hann window of 2048,
triangles of area 1, in dB, of a window whose loudest cell is always 80. The map, in three steps:

1. *Frequency.* The level of each kaldi band at its center of gravity is interpolated between our two nearest
   bands, in dB over Hz.
2. *Level.* Of a spectral density D (power per Hz), a FFT of a window w at rate r makes bins of ``D · r/2 · Σw²``. Our
   band, of area 1 over bins of r/2048 Hz, is ``D · r/2 · 768 / (r/2048 Hz)``; theirs is
   ``D · 16 kHz · 300 · Σ_bins triangle · |1 - 0.97 e^{-jω}|²``. The quotient is a number for each band, in dB.
   The windows hold no absolute level: the loudest cell is taken to be at :data:`PEAK_DB`.
3. *Floor.* Bands centered above 11 025 Hz are empty: ``ln(1e-5)``.

Our frames are 23 or 70 ms apart where mn04 saw 10 ms. Each becomes two by linear interpolation, which brought a linear
probe on the untouched features at ``wide9s`` from 0.61 to 0.68 on the 197 validation tracks of GTZAN's filtered split
(three: 0.65, seven: 0.63; multinomial regression, two windows per track). Fine-tuning has to make up for the rest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_runtime.frontend import preset
from edgegenre_runtime.frontend.spec import TOP_DB
from edgegenre_runtime.frontend.tables import mel_edges_hz

__all__ = ["PEAK_DB", "KaldiMels", "design_mel_map"]

PEAK_DB = 28.0
"""Level of a window's loudest cell, dB of librosa's power mel at full scale 1: the median over ten clips of GTZAN."""

_OURS = preset("wide9s")
"""The map depends on neither hop nor window length, so it is the same for every preset."""

_N_MELS = 128
_OUR_RATE_HZ, _OUR_N_FFT = _OURS.sample_rate_hz, _OURS.n_fft
_RATE_HZ, _N_FFT, _WINDOW_SAMPLES, _TOP_HZ = 32000, 1024, 800, 15000.0
_PRE_EMPHASIS = 0.97
_FLOOR = 1e-5
_FRAMES_FACTOR = 2.0
_Float = npt.NDArray[np.float64]


def design_mel_map() -> tuple[_Float, _Float, npt.NDArray[np.bool_]]:
    """Design the map from our bands to kaldi's.

    Returns
    -------
    weights
        float64 [128, 128], kaldi band by our band; a row sums to 1, or to 0 for an empty band.
    offset_db
        float64 [128], what to add to an interpolated level, 0 for an empty band.
    filled
        bool [128], False for bands that are always empty.
    """
    triangles, bins_hz = _kaldi_triangles()
    total = triangles.sum(axis=1)
    centers_hz = triangles @ bins_hz / np.maximum(total, 1e-12)
    filled = (total > 0) & (centers_hz < _OUR_RATE_HZ / 2)
    ours_hz = mel_edges_hz(_OURS)[1:-1]
    weights = np.stack([np.interp(centers_hz, ours_hz, row) for row in np.eye(_N_MELS)], axis=1) * filled[:, None]
    gain = np.abs(1 - _PRE_EMPHASIS * np.exp(-2j * np.pi * bins_hz / _RATE_HZ)) ** 2
    ours = _OUR_RATE_HZ / 2 * np.sum(np.hanning(_OUR_N_FFT + 1)[:-1] ** 2) / (_OUR_RATE_HZ / _OUR_N_FFT)
    theirs = _RATE_HZ / 2 * np.sum(np.hanning(_WINDOW_SAMPLES) ** 2) * (triangles @ gain)
    offset_db = np.where(filled, 10 * np.log10(np.maximum(theirs, 1e-12) / ours), 0.0)
    return weights, offset_db, filled


def _kaldi_triangles() -> tuple[_Float, _Float]:
    """Return triangles [128, 512] over the FFT's bins, in mel = 1127 ln(1 + Hz / 700), and the bins in Hz."""
    bins_hz: _Float = np.arange(_N_FFT // 2, dtype=np.float64) * (_RATE_HZ / _N_FFT)
    edges = np.linspace(0, 1127 * np.log1p(_TOP_HZ / 700), _N_MELS + 2)
    mel = 1127 * np.log1p(bins_hz / 700)
    width = edges[1] - edges[0]
    rising, falling = (mel - edges[:-2, None]) / width, (edges[2:, None] - mel) / width
    return np.asarray(np.maximum(0, np.minimum(rising, falling))), bins_hz


class KaldiMels(nn.Module):
    """The map as a layer; its tables are derived, so they are not in the state dict."""

    weights: torch.Tensor
    offset: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        weights, offset_db, filled = design_mel_map()
        to_nepers = np.log(10) / 10
        offset = np.where(filled, (offset_db + PEAK_DB - TOP_DB) * to_nepers, -50.0)
        self.register_buffer("weights", torch.from_numpy(weights * to_nepers).float(), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).float()[:, None], persistent=False)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to mn04's input, float32 [B, 1, 128, 2 T]."""
        log_mel = torch.matmul(self.weights, db_above_floor) + self.offset
        scaled = (torch.logaddexp(log_mel, log_mel.new_tensor(np.log(_FLOOR))) + 4.5) / 5
        return nn.functional.interpolate(scaled, scale_factor=(1.0, _FRAMES_FACTOR), mode="bilinear")
