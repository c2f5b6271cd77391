"""The exponential moving average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """A copy of a network whose weights and batch-norm statistics follow it slowly.

    Parameters
    ----------
    network
        The network that is trained, on the device where it is trained.
    decay
        What remains of the average after a step. Early steps use ``(1 + step) / (10 + step)`` where that is less,
        so that the initial weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = copy.deepcopy(network).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network after the optimizer's step number ``step``, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.network.state_dict(), network.state_dict()
        for name, tensor in mine.items():
            if tensor.is_floating_point():
                tensor.lerp_(theirs[name], share)
            else:
                tensor.copy_(theirs[name])
