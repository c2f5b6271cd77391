"""What runs inside the emulated board to count a network: its ``invoke()`` between two marks that the counter sees.

Run as a script with a ``.tflite`` and the JSON to write. It imports numpy and the interpreter alone.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import numpy as np

__all__: list[str] = []

_MAGIC = 0x5157  # as in c/count_instructions.c


def _mark(tag: int) -> None:
    try:
        os.getpriority(_MAGIC, tag)
    except OSError:
        return


def _count(model: Path) -> dict[str, object]:
    """Invoke the model on noise, once to warm up and once between its marks; returns its operators."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).integers(0, 100, given["shape"])
    interpreter.set_tensor(given["index"], noise.astype(given["dtype"]))
    for tag, work in ((0, lambda: None), (2, interpreter.invoke)):
        work()
        _mark(tag)  # first call: its own code is translated and warm
        gc.collect()
        gc.disable()
        _mark(tag)
        work()
        _mark(tag + 1)
        gc.enable()
    return {"ops": [op["op_name"] for op in interpreter._get_ops_details()]}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_count(Path(sys.argv[1]))), encoding="utf-8")
