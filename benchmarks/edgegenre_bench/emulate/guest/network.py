"""What runs inside the emulated board to count a network: its ``invoke()`` between two marks.

Run as ``python -m edgegenre_bench.emulate.guest.network MODEL.tflite OUT.json``. It imports numpy and the interpreter
alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from .marks import run_marked

__all__: list[str] = []


def _count(model: Path) -> dict[str, object]:
    """Invoke the model on noise, once to warm up and once between its marks; returns its operators."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    noise = np.random.default_rng(0).integers(0, 100, detail["shape"])
    interpreter.set_tensor(detail["index"], noise.astype(detail["dtype"]))
    run_marked([interpreter.invoke])
    return {"ops": [op["op_name"] for op in interpreter._get_ops_details()]}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_count(Path(sys.argv[1]))), encoding="utf-8")
