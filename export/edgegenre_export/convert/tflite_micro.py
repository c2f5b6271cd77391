"""The int8 model for TensorFlow Lite Micro: a C array, the operators to register, the arena it needs."""

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

from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

__all__ = ["MicroFacts", "measure_micro", "micro_files", "run_micro"]

_MAX_ARENA_BYTES = 64 << 20
_ARENA_ALIGNMENT = 16
_BYTES_A_LINE = 20


@dataclasses.dataclass(frozen=True, slots=True)
class MicroFacts:
    """What firmware has to provide.

    Attributes
    ----------
    arena_bytes
        Tensor arena that TFLite Micro's interpreter takes here, a multiple of 16; it does not start with less. Its
        records hold 64-bit pointers here; a 32-bit microcontroller needs a little less.
    resolver
        What to call on a ``MicroMutableOpResolver``, each once.
    model_bytes
        Size of the model, which stays in flash.
    """

    arena_bytes: int
    resolver: tuple[str, ...]
    model_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-ready keys and values."""
        return dataclasses.asdict(self)


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


def micro_files(model: bytes, facts: MicroFacts) -> dict[str, bytes]:
    """Return ``c/model_int8.h`` and ``c/model_int8.c``, the model as a constant array at a multiple of 16 bytes."""
    model_report = inspect_tflite(model)
    given, made = model_report.only("input"), model_report.only("output")
    header = _HEADER.format(
        size=len(model),
        arena=facts.arena_bytes,
        input=given.format_contract(),
        output=made.format_contract(),
        n_ops=len(facts.resolver),
        calls="\n".join(f" *     resolver.{name}();" for name in facts.resolver),
    )
    lines = [",".join(map(str, model[i : i + _BYTES_A_LINE])) for i in range(0, len(model), _BYTES_A_LINE)]
    source = _SOURCE.format(bytes=",\n".join(lines))
    return {"c/model_int8.h": header.encode(), "c/model_int8.c": source.encode()}


_HEADER = """\
/* The int8 network for TensorFlow Lite Micro. Generated by edgegenre export; do not edit.
 *
 * input:  {input}: the cells that the front-end writes, byte for byte
 * output: {output}: logits, the largest is the answer
 *
 *     static tflite::MicroMutableOpResolver<{n_ops}> resolver;
{calls}
 *     alignas(16) static uint8_t arena[MODEL_INT8_ARENA_BYTES];
 *     tflite::MicroInterpreter interpreter(tflite::GetModel(model_int8), resolver, arena, sizeof arena);
 *
 * The arena was measured with the interpreter of the tflite-micro package on a 64-bit machine; a 32-bit one needs a
 * little less, kernels with scratch buffers of their own (CMSIS-NN, ESP-NN) need more. */
#ifndef MODEL_INT8_H
#define MODEL_INT8_H

#define MODEL_INT8_BYTES {size}
#define MODEL_INT8_ARENA_BYTES {arena}

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char model_int8[MODEL_INT8_BYTES];
extern const unsigned int model_int8_len;

#ifdef __cplusplus
}}
#endif

#endif
"""

_SOURCE = """\
/* Generated by edgegenre export; do not edit. */
#include "model_int8.h"

#if defined(__GNUC__) || defined(__clang__)
#define MODEL_INT8_ALIGNED __attribute__((aligned(16)))
#elif defined(_MSC_VER)
#define MODEL_INT8_ALIGNED __declspec(align(16))
#else
#define MODEL_INT8_ALIGNED
#endif

const unsigned int model_int8_len = MODEL_INT8_BYTES;

MODEL_INT8_ALIGNED const unsigned char model_int8[MODEL_INT8_BYTES] = {{
{bytes}
}};
"""
