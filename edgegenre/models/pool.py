"""From an image of features to one vector: the mean over time and frequency, or a mean that attention weighs.

The weights are built from operators that TFLite and ONNX have in int8, which have no division: a 1 x 1 convolution
gives each cell a score, and its gate is ``sigmoid(score - mean score)``, 1/2 where a cell's score is the mean one. So
gates stay near 1/2 on average without being divided by their sum, and all of int8's steps are there for each of them.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["AttentionPool", "MeanPool", "make_pool", "pool_stage"]


class MeanPool(nn.Module):
    """The mean over time and frequency; not a pooling layer, so that its int8 values get a scale of their own."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, H, W] to [B, C]."""
        return features.mean(dim=(2, 3))


class AttentionPool(nn.Module):
    """A mean over time and frequency in which some cells count more than others.

    Parameters
    ----------
    n_channels
        Channels of the features.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(n_channels, 1, 1, bias=False)
        self.gate = nn.Sigmoid()
        self.reset()

    def reset(self) -> None:
        """Set the scores near 0, so that the pool begins as the mean."""
        nn.init.normal_(self.score.weight, std=0.01)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, H, W] to [B, C]."""
        score = self.score(features)
        gates = self.gate(score - score.mean(dim=(2, 3), keepdim=True))
        pooled: torch.Tensor = (features * gates).mean(dim=(2, 3))
        return pooled


def make_pool(kind: str, n_channels: int) -> nn.Module:
    """Return the pool of a network's config, ``mean`` or ``attention``."""
    return AttentionPool(n_channels) if kind == "attention" else MeanPool()


def pool_stage(pool: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the pool as a part of its network (:meth:`.network.Network.stages`), none for one without weights."""
    return [("pool", pool)] if isinstance(pool, AttentionPool) else []
