"""The small network that is made for int8: depthwise-separable convolutions and nothing that quantises badly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .config import ModelConfig, Network

__all__ = ["Compact"]

_STEM_CHANNELS = 16
_BLOCKS = (
    # channels, stride, kernel          size of the output for 128 x 128
    (32, 1, 3),  # 64
    (64, 2, 3),  # 32
    (64, 1, 3),
    (96, 2, 5),  # 16
    (96, 1, 5),
    (96, 1, 5),
    (160, 2, 5),  # 8
    (160, 1, 5),
    (208, 1, 3),
)


class Separable(nn.Sequential):
    """A convolution a channel, then a mix of the channels, each with batch norm and ReLU (Howard et al., 2017)."""

    def __init__(self, n_in: int, n_out: int, stride: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_in, kernel, stride=stride, padding=kernel // 2, groups=n_in, bias=False),
            nn.BatchNorm2d(n_in),
            nn.ReLU(),
            nn.Conv2d(n_in, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )


class Compact(Network):
    """Depthwise-separable CNN.

    Halving the window at once keeps the costly first layers small; kernels of 5 where the maps are small make the
    receptive field wider than the window. Every convolution has a ReLU and a batch norm that is folded into it, so
    that an activation's int8 range starts at its zero; there are no residual sums, whose two sides would share a
    scale.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(_STEM_CHANNELS),
            nn.ReLU(),
        )
        n_channels, blocks = _STEM_CHANNELS, []
        for n_out, stride, kernel in _BLOCKS:
            blocks.append(Separable(n_channels, n_out, stride, kernel))
            n_channels = n_out
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(n_channels, config.n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] to logits float32 [B, n_classes]."""
        pooled = self.blocks(self.stem(db_above_floor)).mean(dim=(2, 3))
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the stem, each block and the head."""
        blocks = [(f"block{i}", block) for i, block in enumerate(self.blocks)]
        return [("stem", self.stem), *blocks, ("head", self.head)]
