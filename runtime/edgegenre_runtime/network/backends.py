"""What runs the int8 network, behind one small interface: the C engine, else an interpreter, else NumPy.

The engine (:mod:`.engine`) needs the compiled library and a bundle with ``net.eg``; the interpreters are those of
:mod:`.interpreters`; the NumPy reference (:mod:`.reference`) is slow but always there. ``EDGEGENRE_INTERPRETER``
forces one by its name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError, UsageError

from . import engine
from .blob_header import read_header
from .bundle import Bundle
from .interpreters import INTERPRETERS, OnnxModel, TfliteModel, require_installed

__all__ = ["ENGINE", "REFERENCE", "Backend", "load_backend"]

ENGINE, REFERENCE = "engine", "reference"
"""The project's own two: before the interpreters, and behind them."""

_VARIABLE = "EDGEGENRE_INTERPRETER"
_FILES = {ENGINE: "net.eg", "onnxruntime": "model_int8.onnx"}
_TFLITE = "model_int8.tflite"


class Backend(Protocol):
    """An int8 network ready to run.

    Attributes
    ----------
    name
        The interpreter's distribution, and how it computes where that is known, e.g. ``ai-edge-litert, XNNPACK``.
    input_shape, output_shape
        Of the tensors; the input's without its batch and channel axes.
    embedding_dims
        Length of the embedding, the vector that the last dense layer takes; 0 if the network has none.
    input_quantization, output_quantization, embedding_quantization
        Scale and zero point.
    """

    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_quantization: tuple[float, int]
    output_quantization: tuple[float, int]
    embedding_dims: int
    embedding_quantization: tuple[float, int]

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""

    def run_both(self, cells: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """Return logits int8 [n_classes] and the embedding int8 [D], which the network must have."""


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
        beside = model.embedding
        self.embedding_dims = 0 if beside is None else int(np.prod(beside.shape))
        self.embedding_quantization = (0.0, 0) if beside is None else (beside.scale, beside.zero_point)

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        result: npt.NDArray[np.int8] = self._model.run(cells.reshape(self._model.input.shape))[0]
        return result

    def run_both(self, cells: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """Return logits int8 [n_classes] and the embedding int8 [D], which the network must have."""
        logits, embedding = self._model.run_both(cells.reshape(self._model.input.shape))
        return logits[0], embedding.reshape(-1)


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
    if name == REFERENCE and _FILES[ENGINE] not in bundle.manifest["files"]:
        return "only an interpreter takes this network: run  pip install 'edgegenre[litert]'"
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
        from .reference import Reference  # with the compiler's reader of .tflite: not where the engine runs

        return Reference(content)
    require_installed([name])
    if name == "onnxruntime":
        return _ModelBackend(OnnxModel(content, threads=threads), name, slice(2, 4))
    model = TfliteModel(content, name=name, threads=threads)
    kernels = "XNNPACK" if "DELEGATE" in model.ops else "no XNNPACK"
    return _ModelBackend(model, f"{name}, {kernels}", slice(1, 3))
