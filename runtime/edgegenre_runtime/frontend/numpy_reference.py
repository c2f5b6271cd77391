"""The front-end put together: PCM → log-mel frames, all at once or streaming, with the same bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import SpecError

from .fft import real_fft
from .log2 import log2_q9
from .melbank import mel_sums
from .power import bin_power
from .tables import Tables
from .types import LogMel
from .window import block_window

__all__ = ["MelStream", "log_mel"]

_BLOCK_FRAMES = 128
"""Frames computed together: bounds memory and keeps the arrays in cache."""


def _frames_to_log_mel(frames: npt.NDArray[np.int16], tables: Tables) -> npt.NDArray[np.int16]:
    """Run stages 1 to 5 on int16 [T, n_fft]; returns int16 [n_mels, T]."""
    windowed, shift = block_window(frames, tables)
    return log2_q9(mel_sums(bin_power(*real_fft(windowed, tables)), tables), shift, tables)


def _all_frames(pcm: npt.NDArray[np.int16], tables: Tables) -> npt.NDArray[np.int16]:
    spec = tables.spec
    T = spec.n_frames(len(pcm))
    out = np.empty((spec.n_mels, T), dtype=np.int16)
    if T:
        frames = np.lib.stride_tricks.sliding_window_view(pcm, spec.n_fft)[:: spec.hop_samples]
        for start in range(0, T, _BLOCK_FRAMES):
            stop = min(start + _BLOCK_FRAMES, T)
            out[:, start:stop] = _frames_to_log_mel(frames[start:stop], tables)
    return out


def _checked(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise SpecError(f"PCM must be int16 of one dimension, not {pcm.dtype} of {pcm.ndim}")
    return pcm


def log_mel(pcm: npt.NDArray[np.int16], tables: Tables) -> LogMel:
    """Return the log-mel frames of a whole clip.

    Parameters
    ----------
    pcm
        int16 [n_samples] mono at ``tables.spec.sample_rate_hz``; fewer than ``n_fft`` samples give no frame.

    Raises
    ------
    SpecError
        If ``pcm`` is not one-dimensional int16.
    """
    return LogMel(frames_q9=_all_frames(_checked(pcm), tables), spec_hash=tables.spec_hash)


class MelStream:
    """Log-mel frames of PCM that arrives in chunks of any size; every frame is computed once.

    The state is the tail of the PCM that later frames still need, and how much to skip when the hop is
    longer than a frame.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.reset()

    def reset(self) -> None:
        """Forget all PCM: the next frame starts with the next sample."""
        self._tail = np.empty(0, dtype=np.int16)
        self._skip_samples = 0

    def push(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take int16 [n] and return the frames that became complete, int16 [n_mels, n_new] (``n_new`` may be 0)."""
        spec = self.tables.spec
        skipped = min(self._skip_samples, len(_checked(pcm)))
        self._skip_samples -= skipped
        joined = np.concatenate((self._tail, pcm[skipped:]))
        frames = _all_frames(joined, self.tables)
        used = frames.shape[1] * spec.hop_samples
        self._skip_samples += max(used - len(joined), 0)
        self._tail = joined[used:].copy()
        return frames
