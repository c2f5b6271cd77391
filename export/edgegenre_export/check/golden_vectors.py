"""Golden vectors: a few pieces of PCM with everything that each stage must make of them, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize
from edgegenre_runtime.network.golden import golden_key

from .run_models import is_waveform, run_artifact, run_waveform

__all__ = ["golden_inputs", "golden_outputs"]


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
        given = f"{odd[0].dtype} {list(odd[0].shape)}" if odd else "none"
        raise DataError(f"golden PCM is one or more of int16 [{spec.window_samples}], not {given}")
    frames = [log_mel(piece, tables).frames_q9 for piece in pcm]
    windows = [normalize(piece, tables) for piece in frames]
    return {
        "pcm": np.stack(pcm),
        "frames_q9": np.stack(frames),
        "cells": np.stack([window.cells for window in windows]),
        "is_silence": np.array([window.is_silence for window in windows]),
    }


def golden_outputs(
    models: Mapping[str, bytes], cells: npt.NDArray[np.int8], pcm: npt.NDArray[np.int16], top_db: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the raw output [G, C] of every model file, keyed ``output_`` + file name with ``_`` for the dot.

    A waveform model gets ``pcm``, every other the ``cells`` that the front-end makes of it.

    TFLite's are those of LiteRT's default kernels (XNNPACK); what the plain reference kernels answer is beside
    them with ``_reference`` behind the key, for devices without XNNPACK.
    """
    outputs = {}
    for name, model in models.items():
        key = golden_key(name)
        if is_waveform(name):
            outputs[key] = run_waveform(name, model, pcm)
            continue
        outputs[key] = run_artifact(name, model, cells, top_db)
        if name.endswith("int8.tflite"):
            plain = golden_key(name, reference_kernels=True)
            outputs[plain] = run_artifact(name, model, cells, top_db, reference_kernels=True)
    return outputs
