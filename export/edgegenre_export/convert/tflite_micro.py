"""The int8 model under TensorFlow Lite Micro: the operators to register, the arena it needs, what it answers."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite_micro.python.tflite_micro import runtime

from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

from .c_array import MicroFacts

__all__ = ["measure_micro", "run_micro"]

_MAX_ARENA_BYTES = 64 << 20
_ARENA_ALIGNMENT = 16


def measure_micro(model: bytes) -> MicroFacts:
    """Start TFLite Micro's recording interpreter and read what it took from a large arena.

    Raises
    ------
    ExportError
        If TFLite Micro lacks an operator, or 64 MiB are not enough.
    """
    interpreter = _start(model, _MAX_ARENA_BYTES)
    with tempfile.TemporaryFile() as log:
        with _standard_error_to(log.fileno()):
            interpreter.print_allocations()
        log.seek(0)
        found = re.search(rb"Arena allocation total (\d+) bytes", log.read())
    if found is None:
        raise ExportError("this version of tflite-micro does not say what arena a model takes: install another")
    arena_bytes = -(-int(found[1]) // _ARENA_ALIGNMENT) * _ARENA_ALIGNMENT
    return MicroFacts(arena_bytes, _resolver(inspect_tflite(model)), len(model))


def _start(model: bytes, arena_bytes: int) -> Any:
    try:
        with quiet():
            return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
    except RuntimeError as error:
        raise ExportError(
            f"TFLite Micro does not start the int8 model with an arena of {arena_bytes} bytes: that is too little or "
            f"it lacks an operator; the model has {inspect_tflite(model).format_ops()}"
        ) from error


@contextlib.contextmanager
def _standard_error_to(file: int) -> Iterator[None]:
    """Send what C++ writes to standard error to a file descriptor."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _resolver(model_report: ModelReport) -> tuple[str, ...]:
    """Return the names of MicroMutableOpResolver's methods: ``CONV_2D`` is registered by ``AddConv2D``."""
    words = [op.replace("PADV2", "PAD_V2").split("_") for op in model_report.ops]
    return tuple(sorted({"Add" + "".join(part if part == "2D" else part.capitalize() for part in op) for op in words}))


def run_micro(model: bytes, cells: npt.NDArray[np.int8], arena_bytes: int) -> npt.NDArray[np.int8]:
    """Run the int8 model window by window with TFLite Micro's interpreter.

    Parameters
    ----------
    model
        ``model_int8.tflite``.
    cells
        int8 [N, n_mels, frames].
    arena_bytes
        Size of the tensor arena.

    Returns
    -------
    ndarray
        int8 [N, C].

    Raises
    ------
    ExportError
        If it does not start with this arena.
    """
    interpreter, outputs = _start(model, arena_bytes), []
    for window in cells:
        interpreter.set_input(window[None, :, :, None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0].copy())
    return np.stack(outputs)
