"""The records that flow from audio to the network: Clip, LogMel, Window."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["Clip", "LogMel", "Window"]


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """A piece of mono PCM.

    Attributes
    ----------
    pcm
        int16 [n_samples].
    sample_rate_hz
        Samples per second, in Hz.
    """

    pcm: npt.NDArray[np.int16]
    sample_rate_hz: int


@dataclasses.dataclass(frozen=True, slots=True)
class LogMel:
    """Log-mel frames of a clip.

    Attributes
    ----------
    frames_q9
        int16 [n_mels, n_frames], log2 of the mel power of int16 PCM in Q6.9 (512 is one octave of power,
        3.0103 dB); -32768 stands for no power at all.
    spec_hash
        Hash of the front-end (spec and integer tables) that computed it.
    """

    frames_q9: npt.NDArray[np.int16]
    spec_hash: str


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """One input of the network, byte for byte.

    Attributes
    ----------
    cells
        int8 [n_mels, frames_per_window]; dB above the floor by :func:`.decibels.cells_to_db`.
    is_silence
        Whether the loudest cell is below the spec's silence threshold.
    spec_hash
        Hash of the front-end that computed it.
    """

    cells: npt.NDArray[np.int8]
    is_silence: bool
    spec_hash: str
