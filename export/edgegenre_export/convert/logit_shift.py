"""A network whose logits are shifted by a constant."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

__all__ = ["shift_logits"]


def shift_logits(network: nn.Module, layer: str, shift: npt.NDArray[np.float32]) -> nn.Module:
    """Return a copy of a network whose logits are ``shift``, float32 [C], higher.

    Parameters
    ----------
    network
        The network.
    layer
        Path of the layer that produces the logits (:func:`edgegenre.models.logit_layer.logit_layer`).
    shift
        What is added to its bias.
    """
    shifted = copy.deepcopy(network)
    with torch.no_grad():
        shifted.get_parameter(f"{layer}.bias" if layer else "bias").add_(torch.from_numpy(shift))
    return shifted
