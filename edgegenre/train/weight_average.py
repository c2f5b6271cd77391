"""The exponential moving average of the weights, by torch's :class:`~torch.optim.swa_utils.AveragedModel`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["average_decay", "weight_average"]


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of a network whose parameters and buffers follow it slowly; ``.module`` is the averaged network.

    Buffers are averaged too, those outside the state dict included: the statistics of batch norms, and the ranges of
    a fake-quantized layer. Integer buffers are copied.

    Parameters
    ----------
    network
        The network that is trained, on the device where it is trained.
    decay
        What remains of the average after a step, once :func:`average_decay` has reached it.
    """

    @torch.no_grad()
    def update(
        averaged: Sequence[torch.Tensor], current: Sequence[torch.Tensor], n_averaged: torch.Tensor | int
    ) -> None:
        share = 1 - average_decay(decay, int(n_averaged))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True).requires_grad_(False)


def average_decay(decay: float, step: int) -> float:
    """Return the decay at the optimizer's step ``step``, counted from 0.

    It warms up as ``(1 + step) / (10 + step)``, so that the initial weights are soon forgotten. Step 0 does not ask:
    the average then becomes the network.
    """
    return min(decay, (1 + step) / (10 + step))
