"""Multiply-adds of a TFLite network, read from its operators; needs the interpreter alone."""

from __future__ import annotations

import math
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType

__all__ = ["count_macs"]


def count_macs(model: bytes) -> int:
    """Return the multiply-adds of convolutions and dense layers of one run.

    Parameters
    ----------
    model
        Content of a ``.tflite``.
    """
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=plain, num_threads=1)
    interpreter.allocate_tensors()
    shapes = {tensor["index"]: tuple(map(int, tensor["shape"])) for tensor in interpreter.get_tensor_details()}
    return sum(_macs(op, shapes) for op in interpreter._get_ops_details())


def _macs(op: dict[str, Any], shapes: dict[int, tuple[int, ...]]) -> int:
    kind, made = op["op_name"], shapes[int(op["outputs"][0])]
    if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    weights = shapes[int(op["inputs"][1])]
    if kind == "DEPTHWISE_CONV_2D":  # [1, height, width, channels]
        return math.prod(made) * weights[1] * weights[2]
    return math.prod(made) * math.prod(weights[1:])  # [outputs, …]: each output takes what is behind its first axis
