"""Log-mel frames the way one would write them with scipy in float32, for comparison."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

__all__ = ["scipy_log_mel"]


def scipy_log_mel(
    samples: npt.NDArray[np.float32], hann: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], hop_samples: int
) -> npt.NDArray[np.float32]:
    """Return log-mel frames in dB, float32 [n_frames, n_mels].

    Parameters
    ----------
    samples
        float32 [n], full scale 1.
    hann
        Window, float32 [n_fft].
    weights
        Mel filters, float32 [n_fft // 2 + 1, n_mels].
    hop_samples
        Samples from frame to frame.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(hann))[::hop_samples] * hann
    bins = scipy.fft.rfft(frames, axis=1, workers=1)
    decibels: npt.NDArray[np.float32] = 10 * np.log10(np.maximum((bins.real**2 + bins.imag**2) @ weights, 1e-10))
    return decibels
