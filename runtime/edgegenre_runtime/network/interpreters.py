"""The interpreters: ai-edge-litert, tflite-runtime and onnxruntime, which this file alone imports.

Every model of one input and one output that an interpreter runs anywhere in the project runs through
:class:`TfliteModel` or :class:`OnnxModel`. An int8 network may have a second output, its :data:`EMBEDDING`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError

__all__ = [
    "EMBEDDING",
    "INTERPRETERS",
    "OnnxModel",
    "Port",
    "StepModel",
    "TfliteModel",
    "has_interpreter",
    "quiet_stderr",
    "require_installed",
]

INTERPRETERS = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "onnxruntime": "onnxruntime"}
"""Module by the name of its distribution, best first."""

EMBEDDING = "embedding"
"""Name of the second output of an int8 network: the vector that its last dense layer takes."""

_TFLITE = ("ai-edge-litert", "tflite-runtime")
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
    embedding
        What it gives beside; None if it has no :data:`EMBEDDING`.
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
        self.name = name or require_installed(_TFLITE)
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
        source, (target, *more) = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()
        self._input, self._output = source["index"], target["index"]
        self.input, self.output = _tflite_port(source), _tflite_port(target)
        beside = next((detail for detail in more if detail["name"] == EMBEDDING), None)
        self._embedding = None if beside is None else beside["index"]
        self.embedding = None if beside is None else _tflite_port(beside)
        self.ops = tuple(op["op_name"] for op in self._interpreter._get_ops_details())

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run once: the input, of :attr:`input`'s shape and dtype, to a copy of the output."""
        self._interpreter.set_tensor(self._input, values)
        self.invoke()
        result: npt.NDArray[Any] = self._interpreter.get_tensor(self._output)
        return result

    def run_both(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Run once; returns copies of output and embedding, which the model must have."""
        return self.run(values), self._interpreter.get_tensor(self._embedding)

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
    embedding
        As in :class:`TfliteModel`.

    Raises
    ------
    UsageError
        If onnxruntime is not installed.
    Exception
        onnxruntime's own, if it refuses the model.
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        runtime: Any = importlib.import_module(INTERPRETERS[require_installed([self.name])])
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")  # no 16-bit saturation without VNNI
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        source, (target, *more) = self._session.get_inputs()[0], self._session.get_outputs()
        self._input, self._output = source.name, target.name
        about = self._session.get_modelmeta().custom_metadata_map
        self.input = _onnx_port(source, about.get("input_scale_db"), about.get("input_zero_point"))
        self.output = _onnx_port(target, about.get("output_scale"), about.get("output_zero_point"))
        beside = next((value for value in more if value.name == EMBEDDING), None)
        numbers = about.get("embedding_scale"), about.get("embedding_zero_point")
        self.embedding = None if beside is None else _onnx_port(beside, *numbers)

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run once: the input, of :attr:`input`'s shape and dtype, to the output."""
        result: npt.NDArray[Any] = self._session.run([self._output], {self._input: values})[0]
        return result

    def run_both(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Run once; returns output and embedding, which the model must have."""
        output, embedding = self._session.run([self._output, EMBEDDING], {self._input: values})
        return output, embedding

    def run_all(self, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run over inputs [N, ...], one at a time; returns the outputs [N, ...] without their batch axis."""
        return np.stack([self.run(values.reshape(self.input.shape))[0] for values in inputs])


def _onnx_port(value: Any, scale: str | None, zero_point: str | None) -> Port:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    shape = tuple(size if isinstance(size, int) else 1 for size in value.shape)
    return Port(shape, dtype, float(scale or 0), int(zero_point or 0))


class StepModel:
    """A float model of several inputs and outputs, .tflite or .onnx, told apart by their names.

    Parameters
    ----------
    name
        File name; its ending says what runs it.
    model
        Content of the file.

    Raises
    ------
    UsageError
        If no interpreter for it is installed.
    Exception
        The interpreter's own, if it refuses the model.
    """

    def __init__(self, name: str, model: bytes) -> None:
        self._run: Callable[[dict[str, npt.NDArray[Any]]], dict[str, npt.NDArray[Any]]]
        if name.endswith(".onnx"):
            runtime: Any = importlib.import_module(INTERPRETERS[require_installed([OnnxModel.name])])
            options = runtime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            names = [value.name for value in session.get_outputs()]
            self._run = lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))
            return
        module = importlib.import_module(f"{INTERPRETERS[require_installed(_TFLITE)]}.interpreter")
        with quiet_stderr():
            interpreter = module.Interpreter(model_content=model, num_threads=1)
            runner = interpreter.get_signature_runner()
        self._run = lambda inputs: runner(**inputs)

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run once, from inputs by name to outputs by name."""
        return self._run(dict(inputs))


def has_interpreter() -> bool:
    """Return whether an interpreter for .tflite files is installed."""
    return any(importlib.util.find_spec(INTERPRETERS[name]) for name in INTERPRETERS if name != "onnxruntime")


def require_installed(names: Sequence[str]) -> str:
    """Return the first of some interpreters that is installed; raises :class:`UsageError` if none is."""
    for name in names:
        if importlib.util.find_spec(INTERPRETERS[name]) is not None:
            return name
    missing = names[0] if len(names) == 1 else "no interpreter"
    raise UsageError(f"{missing} is not installed: run  pip install '{_INSTALL.get(names[0], names[0])}'")


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
