"""The interpreters behind one small interface: ai-edge-litert, else tflite-runtime, else onnxruntime.

Only this file knows them. ``EDGEGENRE_INTERPRETER`` forces one by its name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError, UsageError

from .bundle import Bundle

__all__ = ["INTERPRETERS", "Backend", "OnnxBackend", "TfliteBackend", "load_backend", "quiet_stderr"]

INTERPRETERS = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "onnxruntime": "onnxruntime"}
"""Module by the name of its distribution, best first."""

_VARIABLE = "EDGEGENRE_INTERPRETER"
_TFLITE, _ONNX = "model_int8.tflite", "model_int8.onnx"


class Backend(Protocol):
    """A network ready to run.

    Attributes
    ----------
    name
        The interpreter's distribution, and how it computes where that is known, e.g. ``ai-edge-litert, XNNPACK``.
    input_shape, output_shape
        Of the tensors; the input's without its batch and channel axes.
    input_quantization, output_quantization
        Scale and zero point.
    """

    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_quantization: tuple[float, int]
    output_quantization: tuple[float, int]

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""


def load_backend(bundle: Bundle, threads: int) -> Backend:
    """Load the bundle's int8 network into the first interpreter that is installed.

    Parameters
    ----------
    bundle
        The bundle.
    threads
        Threads of the network.

    Raises
    ------
    BundleError
        If the network is missing or cannot be loaded.
    UsageError
        If no interpreter is installed, or the one that the environment names is not or is unknown.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if wanted and wanted not in INTERPRETERS:
        raise UsageError(f"{_VARIABLE} is {wanted!r}; allowed are {', '.join(INTERPRETERS)}, or nothing")
    for name in [wanted] if wanted else INTERPRETERS:
        if importlib.util.find_spec(INTERPRETERS[name]) is None:
            continue
        file = _ONNX if name == "onnxruntime" else _TFLITE
        if file not in bundle.manifest["files"]:
            raise BundleError(f"{bundle.root}: has no {file}, which {name} runs: export it with --int8")
        model = bundle.read(file)
        kind = OnnxBackend if name == "onnxruntime" else TfliteBackend
        try:
            return kind(name, model, threads)
        except (ValueError, RuntimeError, KeyError) as error:
            raise BundleError(f"{bundle.root}: {file} cannot be loaded: export the bundle again") from error
    raise UsageError(f"{wanted or 'no interpreter'} is not installed: run  pip install {wanted or 'ai-edge-litert'}")


class TfliteBackend:
    """LiteRT or its forerunner; see :class:`Backend`."""

    def __init__(self, name: str, model: bytes, threads: int) -> None:
        interpreter = importlib.import_module(f"{INTERPRETERS[name]}.interpreter").Interpreter
        with quiet_stderr():
            self.interpreter = interpreter(model_content=model, num_threads=threads)
            self.interpreter.allocate_tensors()
        source, target = self.interpreter.get_input_details()[0], self.interpreter.get_output_details()[0]
        if source["dtype"] is not np.int8 or target["dtype"] is not np.int8:
            raise ValueError("not an int8 network")
        self._input, self._output = source["index"], target["index"]
        self.input_shape, self.output_shape = tuple(source["shape"][1:3]), tuple(target["shape"])
        self.input_quantization, self.output_quantization = source["quantization"], target["quantization"]
        ops = {op["op_name"] for op in self.interpreter._get_ops_details()}
        self.name = f"{name}, {'XNNPACK' if 'DELEGATE' in ops else 'no XNNPACK'}"

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        self.interpreter.set_tensor(self._input, cells[None, :, :, None])
        self.interpreter.invoke()
        result: npt.NDArray[np.int8] = self.interpreter.get_tensor(self._output)[0]
        return result


class OnnxBackend:
    """onnxruntime on the CPU; see :class:`Backend`."""

    def __init__(self, name: str, model: bytes, threads: int) -> None:
        runtime: Any = importlib.import_module(INTERPRETERS[name])
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")  # no 16-bit saturation without VNNI
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        if source.type != "tensor(int8)" or target.type != "tensor(int8)":
            raise ValueError("not an int8 network")
        self._input = source.name
        self.input_shape, self.output_shape = tuple(source.shape[2:4]), tuple(target.shape)
        quantization = self._session.get_modelmeta().custom_metadata_map
        self.input_quantization = (float(quantization["input_scale_db"]), int(quantization["input_zero_point"]))
        self.output_quantization = (float(quantization["output_scale"]), int(quantization["output_zero_point"]))
        self.name = name

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        result: npt.NDArray[np.int8] = self._session.run(None, {self._input: cells[None, None]})[0][0]
        return result


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the interpreter's C++ chatter ("Created XNNPACK delegate") off the terminal."""
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(null)
        os.close(saved)
