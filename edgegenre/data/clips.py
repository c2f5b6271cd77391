"""Audio for the workstation: a whole file as one clip; damaged files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import AudioError
from edgegenre_runtime.frontend import Clip

__all__ = ["read_clip", "read_clip_and_notes"]


def read_clip(path: Path | str, sample_rate_hz: int, *, min_samples: int = 1) -> Clip:
    """Read a whole audio file, strictly: a damaged file has no place in a data set.

    Parameters
    ----------
    path
        wav, au, flac, ogg, opus, mp3 or aiff of any rate, width and channel count.
    sample_rate_hz
        Rate of the clip in Hz; the file is mixed to mono and resampled as on the device, by the same code.
    min_samples
        Samples at ``sample_rate_hz`` that the clip must have, e.g. ``n_fft`` for one frame.

    Raises
    ------
    AudioError
        A file that is missing, empty, not audio, truncated, damaged, too short or has NaN or infinite
        samples; the message names the file and the reason.
    """
    return read_clip_and_notes(path, sample_rate_hz, min_samples=min_samples)[0]


def read_clip_and_notes(path: Path | str, sample_rate_hz: int, *, min_samples: int = 1) -> tuple[Clip, tuple[str, ...]]:
    """Read a clip as :func:`read_clip`, and return notes on what was unusual, such as samples above full scale."""
    blocks = file_blocks(path, sample_rate_hz)
    pcm = np.concatenate([np.zeros(0, np.int16), *blocks])
    if blocks.damages:
        raise AudioError(f"{path}: {'; '.join(blocks.damages)}")
    if pcm.size < min_samples:
        raise AudioError(f"{path}: too short, {pcm.size} samples at {sample_rate_hz} Hz; {min_samples} are needed")
    return Clip(pcm=pcm, sample_rate_hz=sample_rate_hz), tuple(f"{path}: {note}" for note in blocks.notes)
