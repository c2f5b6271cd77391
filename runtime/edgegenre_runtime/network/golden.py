"""``golden.npz``: pieces of PCM with what every stage must make of them. Writer above, reader below.

``pcm`` int16 [G, window_samples], ``frames_q9`` int16 and ``cells`` int8 [G, n_mels, frames], ``is_silence`` bool [G],
and for each model file its raw output [G, C] under :func:`golden_key` and, of an int8 network that gives one, its
embedding int8 [G, D] under :func:`embedding_key`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.file_formats import read_npz
from edgegenre_runtime.frontend import FrontendSpec

from .bundle import Bundle

__all__ = ["GOLDEN", "embedding_key", "golden_key", "pack_golden", "read_golden"]

GOLDEN = "golden.npz"

_Arrays = dict[str, npt.NDArray[Any]]


def golden_key(name: str, *, reference_kernels: bool = False) -> str:
    """Return the array that holds a model file's output, by TFLite's plain reference kernels if asked for."""
    return "output_" + name.replace(".", "_") + ("_reference" if reference_kernels else "")


def embedding_key(name: str) -> str:
    """Return the array that holds a model file's embedding."""
    return "embedding_" + name.replace(".", "_")


def pack_golden(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the content of ``golden.npz`` (no Python objects in it)."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def read_golden(bundle: Bundle) -> _Arrays:
    """Return the golden vectors of a bundle by name; raises :class:`BundleError` if it has none that fit it."""
    content = bundle.read(GOLDEN)
    try:
        golden = read_npz(io.BytesIO(content))
        _check(golden, bundle.tables.spec)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"bundle {bundle.root}: {GOLDEN} holds no golden vectors: export again") from error
    return golden


def _check(golden: _Arrays, spec: FrontendSpec) -> None:
    """Raise KeyError or ValueError unless the stages' arrays are there, of their shapes and dtypes."""
    n = len(golden["pcm"])
    window = (n, spec.n_mels, spec.frames_per_window)
    expected = {
        "pcm": ((n, spec.window_samples), np.int16),
        "frames_q9": (window, np.int16),
        "cells": (window, np.int8),
        "is_silence": ((n,), np.bool_),
    }
    for name, (shape, dtype) in expected.items():
        if not n or golden[name].shape != shape or golden[name].dtype != dtype:
            raise ValueError(f"{name} is {golden[name].dtype} {golden[name].shape}")
