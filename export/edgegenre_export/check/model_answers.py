"""Running model files over windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cells_to_db
from edgegenre_runtime.network.interpreters import OnnxModel, TfliteModel

__all__ = ["run_artifact", "run_embeddings", "run_onnx", "run_tflite", "run_waveform"]


def run_tflite(model: bytes, inputs: npt.NDArray[Any], *, reference_kernels: bool = False) -> npt.NDArray[Any]:
    """Run a .tflite window by window.

    Parameters
    ----------
    model
        Content of the file.
    inputs
        [N, n_mels, frames] or [N, window_samples] of the model's input dtype.
    reference_kernels
        Use the plain reference kernels in place of LiteRT's default (XNNPACK).

    Returns
    -------
    ndarray
        [N, C] of the model's output dtype.
    """
    return TfliteModel(model, reference_kernels=reference_kernels).run_all(inputs)


def run_onnx(model: bytes, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Run an .onnx window by window with onnxruntime on the CPU; parameters and result as of :func:`run_tflite`."""
    return OnnxModel(model).run_all(inputs)


def run_embeddings(name: str, model: bytes, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return an int8 model's raw embeddings int8 [N, D] of cells int8 [N, n_mels, frames]."""
    runner = OnnxModel(model) if name.endswith(".onnx") else TfliteModel(model)
    return np.stack([runner.run_both(window.reshape(runner.input.shape))[1].reshape(-1) for window in cells])


def run_waveform(name: str, model: bytes, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Run a waveform model over windows of PCM.

    Parameters
    ----------
    name
        File name; its ending says how to run it.
    model
        Its content.
    pcm
        int16 [N, window_samples]; the model gets a full scale of 1.

    Returns
    -------
    ndarray
        Probabilities, float32 [N, C].
    """
    inputs = pcm / np.float32(32768)
    return run_onnx(model, inputs) if name.endswith(".onnx") else run_tflite(model, inputs)


def run_artifact(
    name: str, model: bytes, cells: npt.NDArray[np.int8], top_db: int, *, reference_kernels: bool = False
) -> npt.NDArray[Any]:
    """Run a model file of a bundle over window cells.

    Parameters
    ----------
    name
        File name; its ending and its ``int8`` or ``float`` say how to run it.
    model
        Its content.
    cells
        int8 [N, n_mels, frames]; a float model gets the dB that they stand for.
    top_db
        The spec's.
    reference_kernels
        As in :func:`run_tflite`; only for ``.tflite``.

    Returns
    -------
    ndarray
        [N, C], the raw output: int8, int16 or float32.
    """
    inputs: npt.NDArray[Any] = cells
    if "int8x16" in name:
        inputs = cells.astype(np.int16) - CELL_ZERO_POINT  # steps above the floor, 0 to 255
    elif "int8" not in name:
        inputs = cells_to_db(cells, top_db)
    if name.endswith(".onnx"):
        return run_onnx(model, inputs)
    return run_tflite(model, inputs, reference_kernels=reference_kernels)
