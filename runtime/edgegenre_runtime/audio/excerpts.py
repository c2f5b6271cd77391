"""Stretches spread over a file, for those who need not hear all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .resample import LARGEST_SAMPLE, Resampler

__all__ = ["Excerpts", "excerpt_pcm", "lead_frames", "spread"]

_LEAD_S = 0.02  # what the resampler's filter reaches over


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Excerpts:
    """Stretches of a file.

    Attributes
    ----------
    n_frames
        Samples a channel of the whole file.
    blocks
        float32 [n, channels], one by one; shorter than asked for where the file is damaged. To be read once.
    """

    n_frames: int
    blocks: Iterator[npt.NDArray[np.float32]]


def spread(n_all: int, n_wanted: int, n_frames: int) -> list[int]:
    """Return where ``n_wanted`` stretches of ``n_frames`` begin that lie evenly in ``n_all``, away from its ends."""
    return [max((2 * i + 1) * n_all // (2 * n_wanted) - n_frames // 2, 0) for i in range(n_wanted)]


def lead_frames(in_rate_hz: int, out_rate_hz: int) -> int:
    """Return the samples to read before and behind a stretch that is resampled."""
    return 0 if in_rate_hz == out_rate_hz else round(_LEAD_S * in_rate_hz)


def excerpt_pcm(
    block: npt.NDArray[np.float32], in_rate_hz: int, out_rate_hz: int, n_samples: int
) -> npt.NDArray[np.int16]:
    """Return a stretch as int16 [n_samples], mono at the output rate; what exceeds full scale is turned down to fit.

    Parameters
    ----------
    block
        float32 [n, channels], with :func:`lead_frames` on either side.
    in_rate_hz, out_rate_hz
        Sample rates in Hz.
    n_samples
        Wanted.
    """
    levels = np.abs(block)
    peak = float(levels.max(initial=0))
    if not peak <= LARGEST_SAMPLE:  # NaN too
        peak = float(levels[levels <= LARGEST_SAMPLE].max(initial=0))
    resampler = Resampler(in_rate_hz, block.shape[1], out_rate_hz)
    pcm = np.concatenate((resampler.push(block / np.float32(peak) if peak > 1 else block), resampler.flush()))
    lead = round(lead_frames(in_rate_hz, out_rate_hz) * out_rate_hz / in_rate_hz)
    return pcm[lead : lead + n_samples]
