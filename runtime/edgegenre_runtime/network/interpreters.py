"""What runs the int8 network, behind one small interface: the C engine, else an interpreter, else NumPy.

The engine (:mod:`.engine`) needs the compiled library and a bundle with ``net.eg``; the interpreters are
ai-edge-litert, tflite-runtime and onnxruntime; the NumPy reference (:mod:`.reference`) is slow but always there. Only
this file imports interpreters, and every model of one input and one output that runs anywhere in the project runs
through :class:`TfliteModel` or :class:`OnnxModel`. ``EDGEGENRE_INTERPRETER`` forces one by its name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError, UsageError

from . import engine
from .bundle import Bundle
from .compiler import read_header
from .reference import Reference

__all__ = [
    "ENGINE",
    "INTERPRETERS",
    "REFERENCE",
    "Backend",
    "OnnxModel",
    "Port",
    "TfliteModel",
    "has_interpreter",
    "load_backend",
    "quiet_stderr",
]

INTERPRETERS = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "onnxruntime": "onnxruntime"}
"""Module by the name of its distribution, best first."""

ENGINE, REFERENCE = "engine", "reference"
"""The project's own two: before the interpreters, and behind them."""

_VARIABLE = "EDGEGENRE_INTERPRETER"
_FILES = {ENGINE: "net.eg", "onnxruntime": "model_int8.onnx"}
_TFLITE = "model_int8.tflite"
_INSTALL = {"ai-edge-litert": "edgegenre[litert]"}


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """The input or the output of a model.

    Attributes
    ----------
    shape
        Its axes, the batch's included.
    dtype
        Its NumPy dtype.
    scale, zero_point
        Its quantization; 0.0 and 0 where it has none or the interpreter does not know it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0


class TfliteModel:
    """A .tflite of one input and one output, loaded into LiteRT or its forerunner.

    Parameters
    ----------
    model
        Content of the file.
    name
        The interpreter's distribution; the first one installed if not given.
    threads
        Threads of the network.
    reference_kernels
        Use TFLite's plain reference kernels in place of the default (XNNPACK).
    n_samples
        Length of the input's last axis, for a model of PCM that leaves it open.

    Attributes
    ----------
    input, output
        What the model takes and gives.
    ops
        Its operators in the order they run; ``DELEGATE`` stands for those that XNNPACK has taken over.

    Raises
    ------
    UsageError
        If no interpreter for .tflite files is installed.
    ValueError, RuntimeError
        If the interpreter refuses the model.
    """

    def __init__(
        self,
        model: bytes,
        *,
        name: str | None = None,
        threads: int = 1,
        reference_kernels: bool = False,
        n_samples: int | None = None,
    ) -> None:
        self.name = name or _first_installed([name for name in INTERPRETERS if name != "onnxruntime"])
        module = importlib.import_module(f"{INTERPRETERS[self.name]}.interpreter")
        kernels: dict[str, Any] = {}
        if reference_kernels:
            kernels["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_REF
        with quiet_stderr():
            self._interpreter = module.Interpreter(model_content=model, num_threads=threads, **kernels)
            source = self._interpreter.get_input_details()[0]
            is_open = source["shape_signature"][-1] < 1 or source["shape"][-1] == 1
            if n_samples is not None and is_open:
                self._interpreter.resize_tensor_input(source["index"], [*source["shape"][:-1], n_samples])
            self._interpreter.allocate_tensors()
        source, target = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._input, self._output = source["index"], target["index"]
        self.input, self.output = _tflite_port(source), _tflite_port(target)
        self.ops = tuple(op["op_name"] for op in self._interpreter._get_ops_details())

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run once: the input, of :attr:`input`'s shape and dtype, to a copy of the output."""
        self._interpreter.set_tensor(self._input, values)
        self.invoke()
        result: npt.NDArray[Any] = self._interpreter.get_tensor(self._output)
        return result

    def invoke(self) -> None:
        """Run once more on the input that is there."""
        self._interpreter.invoke()

    def run_all(self, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run over inputs [N, ...], one at a time; returns the outputs [N, ...] without their batch axis."""
        return np.stack([self.run(values.reshape(self.input.shape))[0] for values in inputs])


def _tflite_port(detail: dict[str, Any]) -> Port:
    scale, zero_point = detail["quantization"]
    return Port(tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]), float(scale), int(zero_point))


class OnnxModel:
    """An .onnx of one input and one output, loaded into onnxruntime on the CPU.

    Parameters
    ----------
    model
        Content of the file.
    threads
        Threads of the network.

    Attributes
    ----------
    input, output
        What the model takes and gives; the scales are those of its metadata, where the export has written them.

    Raises
    ------
    UsageError
        If onnxruntime is not installed.
    Exception
        onnxruntime's own, if it refuses the model.
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        runtime: Any = importlib.import_module(INTERPRETERS[_first_installed([self.name])])
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")  # no 16-bit saturation without VNNI
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self._input = source.name
        about = self._session.get_modelmeta().custom_metadata_map
        self.input = _onnx_port(source, about.get("input_scale_db"), about.get("input_zero_point"))
        self.output = _onnx_port(target, about.get("output_scale"), about.get("output_zero_point"))

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run once: the input, of :attr:`input`'s shape and dtype, to the output."""
        result: npt.NDArray[Any] = self._session.run(None, {self._input: values})[0]
        return result

    def run_all(self, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run over inputs [N, ...], one at a time; returns the outputs [N, ...] without their batch axis."""
        return np.stack([self.run(values.reshape(self.input.shape))[0] for values in inputs])


def _onnx_port(value: Any, scale: str | None, zero_point: str | None) -> Port:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    shape = tuple(size if isinstance(size, int) else 1 for size in value.shape)
    return Port(shape, dtype, float(scale or 0), int(zero_point or 0))


def has_interpreter() -> bool:
    """Return whether an interpreter for .tflite files is installed."""
    return any(importlib.util.find_spec(INTERPRETERS[name]) for name in INTERPRETERS if name != "onnxruntime")


def _first_installed(names: Sequence[str]) -> str:
    for name in names:
        if importlib.util.find_spec(INTERPRETERS[name]) is not None:
            return name
    missing = names[0] if len(names) == 1 else "no interpreter"
    raise UsageError(f"{missing} is not installed: run  pip install '{_INSTALL.get(names[0], names[0])}'")


class Backend(Protocol):
    """An int8 network ready to run.

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


class _ModelBackend:
    """A model of int8 cells to int8 logits as a :class:`Backend`."""

    def __init__(self, model: TfliteModel | OnnxModel, name: str, axes: slice) -> None:
        source, target = model.input, model.output
        if source.dtype != np.int8 or target.dtype != np.int8:
            raise ValueError("not an int8 network")
        self._model, self.name = model, name
        self.input_shape = source.shape[axes]
        self.output_shape = target.shape
        self.input_quantization = (source.scale, source.zero_point)
        self.output_quantization = (target.scale, target.zero_point)

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        result: npt.NDArray[np.int8] = self._model.run(cells.reshape(self._model.input.shape))[0]
        return result


def load_backend(bundle: Bundle, threads: int) -> Backend:
    """Load the bundle's int8 network into the first of engine, interpreters and NumPy reference that can run it.

    Parameters
    ----------
    bundle
        The bundle.
    threads
        Threads of an interpreter; engine and reference run in the caller's.

    Raises
    ------
    BundleError
        If the network is missing or cannot be loaded.
    UsageError
        If the one that the environment names is not installed or is unknown.
    """
    wanted = os.environ.get(_VARIABLE, "")
    allowed = (ENGINE, *INTERPRETERS, REFERENCE)
    if wanted and wanted not in allowed:
        raise UsageError(f"{_VARIABLE} is {wanted!r}; allowed are {', '.join(allowed)}, or nothing")
    name = wanted or next(name for name in allowed if _is_usable(name, bundle))
    file = _FILES.get(name, _TFLITE)
    if file not in bundle.manifest["files"]:
        raise BundleError(f"{bundle.root}: has no {file}, which {name} runs: export it with --int8")
    content = bundle.read(file)
    listed = bundle.manifest["files"].get(_TFLITE, {}).get("sha256")
    if name == ENGINE and listed not in (None, read_header(content).model_sha256):
        raise BundleError(f"{bundle.root}: {file} was compiled from another {_TFLITE}: export the bundle again")
    try:
        return _load(name, content, threads)
    except UsageError:
        raise
    except ImportError as error:
        raise UsageError(
            f"{name} is installed and cannot be imported ({str(error).splitlines()[0]}): install it again, or take "
            f"another with {_VARIABLE}"
        ) from error
    except Exception as error:  # every interpreter has its own kinds
        raise BundleError(f"{bundle.root}: {file} cannot be loaded: {_advice(name, bundle)}") from error


def _advice(name: str, bundle: Bundle) -> str:
    """Return what to do about a network that an interpreter refuses: it may be older than the one that exported it."""
    tools = bundle.manifest.get("tools")
    made_with = tools.get("ai-edge-litert" if name == "tflite-runtime" else name) if isinstance(tools, dict) else None
    if name not in INTERPRETERS or not isinstance(made_with, str):
        return "export the bundle again"
    try:
        here = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        here = "of an unknown version"
    if here == made_with:
        return "export the bundle again"
    return (
        f"{name} here is {here}, the bundle was exported with {made_with}: install that version or a later one, or "
        f"take another back-end with {_VARIABLE}, e.g. {REFERENCE}"
    )


def _is_usable(name: str, bundle: Bundle) -> bool:
    """Return whether what runs a network is installed, and the bundle has the file for it."""
    if _FILES.get(name, _TFLITE) not in bundle.manifest["files"]:
        return name == REFERENCE  # nothing else is left: the error names the file
    if name == ENGINE:
        return engine.load() is not None
    return name == REFERENCE or importlib.util.find_spec(INTERPRETERS[name]) is not None


def _load(name: str, content: bytes, threads: int) -> Backend:
    if name == ENGINE:
        return engine.Engine(content)
    if name == REFERENCE:
        return Reference(content)
    _first_installed([name])
    if name == "onnxruntime":
        return _ModelBackend(OnnxModel(content, threads=threads), name, slice(2, 4))
    model = TfliteModel(content, name=name, threads=threads)
    kernels = "XNNPACK" if "DELEGATE" in model.ops else "no XNNPACK"
    return _ModelBackend(model, f"{name}, {kernels}", slice(1, 3))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the interpreter's C++ chatter ("Created XNNPACK delegate") off the terminal."""
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed: there is nothing to keep it off
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(null)
        os.close(saved)
