"""The multiply-adds of a layer, by one formula for TFLite, ONNX and torch.

Bias, batch norm (folded into its convolution), pooling and activations are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["LayerKind", "count_multiply_adds"]

LayerKind = Literal["weighted", "transposed", "matmul"]
"""``weighted``: convolution (grouped and depthwise too) or dense layer; ``transposed``: transposed convolution;
``matmul``: product of two activations."""


def count_multiply_adds(
    kind: LayerKind, *, inputs: Sequence[int], weights: Sequence[int], outputs: Sequence[int]
) -> int:
    """Return the multiply-adds of one run of a layer.

    Parameters
    ----------
    kind
        How the shapes are to be read.
    inputs, outputs
        Shapes of what the layer takes and gives, in any order of axes; of a ``matmul`` the last axis of ``inputs`` is
        the one that is summed over.
    weights
        ``weighted``: [outputs, what one output sums over…], so that a depthwise filter is [channels, height, width];
        ``transposed``: [inputs, what one input is spread over…]; not read for a ``matmul``.
    """
    if kind == "weighted":
        return math.prod(outputs) * math.prod(weights[1:])
    if kind == "transposed":
        return math.prod(inputs) * math.prod(weights[1:])
    return math.prod(outputs) * inputs[-1]
