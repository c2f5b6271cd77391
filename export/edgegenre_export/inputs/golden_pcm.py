"""Golden PCM: the pieces that every bundle is replayed with, and the front-end's features of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.toy.dataset import render
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize

__all__ = ["golden_inputs", "golden_pcm"]

_STYLES = ("classical", "disco", "metal")
_LOOP_S = 0.35


def golden_pcm(tables: Tables) -> list[npt.NDArray[np.int16]]:
    """Return three rendered pieces, int16 [window_samples] each.

    A piece is a short loop of music, whole hops long, so that the frames repeat too: a bundle's golden vectors compress
    to a twentieth, and a device is shipped with them.
    """
    spec = tables.spec
    loop = max(round(_LOOP_S * spec.sample_rate_hz / spec.hop_samples), 1) * spec.hop_samples
    pieces = (render(style, 0, loop / spec.sample_rate_hz + 2, spec.sample_rate_hz) for style in _STYLES)
    return [np.resize(pcm[-loop:], spec.window_samples) for pcm in pieces]


def golden_inputs(pcm: Sequence[npt.NDArray[np.int16]], tables: Tables) -> dict[str, npt.NDArray[Any]]:
    """Run the front-end over pieces of PCM.

    Parameters
    ----------
    pcm
        One or more pieces, int16 [window_samples].
    tables
        The front-end.

    Returns
    -------
    dict
        ``pcm`` int16 [G, window_samples], ``frames_q9`` int16 [G, n_mels, frames], ``cells`` int8
        [G, n_mels, frames], ``is_silence`` bool [G].

    Raises
    ------
    DataError
        If there is none, or one is not exactly a window long.
    """
    spec = tables.spec
    odd = [piece for piece in pcm if piece.shape != (spec.window_samples,) or piece.dtype != np.int16]
    if odd or not pcm:
        found = f"{odd[0].dtype} {list(odd[0].shape)}" if odd else "none"
        raise DataError(f"golden PCM is one or more of int16 [{spec.window_samples}], not {found}")
    frames = [log_mel(piece, tables).frames_q9 for piece in pcm]
    windows = [normalize(piece, tables) for piece in frames]
    return {
        "pcm": np.stack(pcm),
        "frames_q9": np.stack(frames),
        "cells": np.stack([window.cells for window in windows]),
        "is_silence": np.array([window.is_silence for window in windows]),
    }
