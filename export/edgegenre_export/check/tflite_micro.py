"""The int8 model under TensorFlow Lite Micro: the operators to register, the arena it needs, what it answers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite_micro.python.tflite_micro import runtime

from edgegenre_export.micro_facts import MicroFacts
from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

__all__ = ["MicroTarget", "check_micro", "measure_micro", "run_micro"]

_MAX_ARENA_BYTES = 64 << 20
_ARENA_ALIGNMENT = 16


@dataclasses.dataclass(frozen=True, slots=True)
class MicroTarget:
    """Whether and how TFLite Micro runs a model.

    Attributes
    ----------
    facts
        What firmware has to provide; None if TFLite Micro does not run the model.
    refusal
        Why it does not.
    largest_difference_steps, windows
        Largest difference of a logit from LiteRT's reference kernels, on so many windows.
    """

    facts: MicroFacts | None
    refusal: str
    largest_difference_steps: int
    windows: int

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON-ready keys and values."""
        if self.facts is None:
            return {"refused": self.refusal}
        steps = self.largest_difference_steps
        return {**self.facts.to_dict(), "largest_difference_steps": steps, "windows": self.windows}


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


def check_micro(model: bytes, cells: npt.NDArray[np.int8], reference: npt.NDArray[np.int8]) -> MicroTarget:
    """Return what firmware needs for a model, after running it; or why TFLite Micro does not run it.

    Parameters
    ----------
    model
        ``model_int8.tflite``.
    cells
        int8 [N, n_mels, frames].
    reference
        What LiteRT's reference kernels answer, int8 [N, C].

    Raises
    ------
    ExportError
        If a logit is more than a step from the reference kernels'. (The networks of this project give the same bits;
        a dense layer inside a user's network may round otherwise, :mod:`edgegenre_export.convert.tflite.from_torch`.)
    """
    try:
        facts = measure_micro(model)
    except ExportError as error:
        return MicroTarget(None, str(error), 0, 0)
    difference = int(np.abs(run_micro(model, cells, facts.arena_bytes).astype(int) - reference).max())
    if difference > 1:
        raise ExportError(
            f"TFLite Micro's logits are up to {difference} steps from those of LiteRT's reference kernels on the "
            "golden windows; one is allowed"
        )
    return MicroTarget(facts, "", difference, len(cells))
