"""The mel front-end as float operators that every runtime has, for models that take PCM.

It follows the integer front-end's own tables: window → DFT → power → mel bands → dB above the floor. The DFT is two
matrix products with twiddles between (Cooley & Tukey, *An Algorithm for the Machine Calculation of Complex Fourier
Series*, 1965), ``n = 64 n1 + n2`` and ``k = k1 + 32 k2`` for 2048 points: converters have no complex numbers, and a
DFT in one matrix would weigh 17 MB. Of ``k1`` the first half is enough: PCM is real, the rest are mirror images.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.frontend.tables import POWER_SHIFT

__all__ = ["FloatFrontend"]

_FIRST = 32
_MAX_VIEWS = 16
_MIN_POWER = 1e-20
"""Power below every int16 sound; a window that is nowhere 80 dB above it is taken for digital silence."""


class FloatFrontend(nn.Module):
    """PCM to the network's input, in float32.

    Parameters
    ----------
    tables
        The integer front-end that it follows.
    window_shape
        Shape of its output, n_mels · frames cells: ``(1, M, T, 1)`` for TFLite, ``(1, 1, M, T)`` for ONNX.

    Raises
    ------
    ExportError
        If the hop has so little in common with ``n_fft`` that frames cannot be cut out of a few views of the PCM.
    """

    window: torch.Tensor
    dft_first: torch.Tensor
    twiddle_re: torch.Tensor
    twiddle_im: torch.Tensor
    dft_second: torch.Tensor
    mel: torch.Tensor

    def __init__(self, tables: Tables, window_shape: tuple[int, ...]) -> None:
        super().__init__()
        spec = tables.spec
        self._row = math.gcd(spec.n_fft, spec.hop_samples)
        self._views, self._step = spec.n_fft // self._row, spec.hop_samples // self._row
        if self._views > _MAX_VIEWS:
            raise ExportError(
                f"a waveform model needs a hop that shares a factor of at least {spec.n_fft // _MAX_VIEWS} with n_fft "
                f"{spec.n_fft}; {spec.hop_samples} shares {self._row}: export without model_audio.*"
            )
        self._shape, self._n_frames = window_shape, spec.frames_per_window
        self._a, self._b, self._k = _FIRST, spec.n_fft // _FIRST, _FIRST // 2 + 1
        self._top_db = float(spec.top_db)
        for name, matrix in _matrices(tables).items():
            self.register_buffer(name, torch.from_numpy(matrix.astype(np.float32)), persistent=False)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Map PCM float32 [1, window_samples], -1 … 1, to dB above the floor, 0 … top_db."""
        T, A, B, K = self._n_frames, self._a, self._b, self._k
        rows = waveform.reshape(-1, self._row)
        span = (T - 1) * self._step + 1
        frames = torch.cat([rows[j : j + span : self._step] for j in range(self._views)], dim=1)
        first = torch.matmul(self.dft_first, frames.reshape(T, A, B) * self.window)
        re, im = first[:, :K], first[:, K:]
        turned = [re * self.twiddle_re - im * self.twiddle_im, re * self.twiddle_im + im * self.twiddle_re]
        squares = torch.matmul(torch.cat(turned, dim=2).reshape(T * K, 2 * B), self.dft_second) ** 2
        power = (squares[:, :B] + squares[:, B:]).reshape(T, K * B)
        db = torch.log(torch.clamp(torch.matmul(power, self.mel), min=_MIN_POWER)) * (10 / math.log(10))
        loudest = torch.clamp(db.amax(dim=(0, 1)), min=10 * math.log10(_MIN_POWER) + self._top_db)
        return torch.clamp(db - loudest + self._top_db, min=0.0).t().reshape(self._shape)


def _matrices(tables: Tables) -> dict[str, npt.NDArray[np.float64]]:
    """Return the constants; ``A = 32``, ``B = n_fft / 32``, ``K = A / 2 + 1``."""
    N, A, K = tables.spec.n_fft, _FIRST, _FIRST // 2 + 1
    B = N // A
    k1, n2 = np.arange(K), np.arange(B)
    first = np.exp(-2j * np.pi * np.outer(k1, np.arange(A)) / A)
    twiddle = np.exp(-2j * np.pi * np.outer(k1, n2) / N)
    second = np.exp(-2j * np.pi * np.outer(n2, n2) / B)
    k = (k1[:, None] + A * n2).ravel()
    bins = np.minimum(k, N - k)
    times = np.bincount(bins)  # bins of the first and the last k1 stand there twice
    return {
        "window": tables.window_q15.reshape(A, B) / 2**15,
        "dft_first": np.concatenate([first.real, first.imag]),
        "twiddle_re": twiddle.real,
        "twiddle_im": twiddle.imag,
        "dft_second": np.block([[second.real, second.imag], [-second.imag, second.real]]),
        "mel": (_mel_bank(tables)[:, bins] / times[bins]).T,
    }


def _mel_bank(tables: Tables) -> npt.NDArray[np.float64]:
    """Return the mel weights float64 [n_mels, n_bins] that the integer tables stand for."""
    bank = np.zeros((tables.spec.n_mels, tables.spec.n_bins))
    ends = np.cumsum(tables.band_length.astype(int))
    gains = 2.0 ** (tables.band_offset_q15 / 2**15 + 30 - POWER_SHIFT)
    for row, start, length, end, gain in zip(bank, tables.band_start, tables.band_length, ends, gains, strict=True):
        row[start : start + length] = tables.band_weight[end - length : end] * gain
    return bank
