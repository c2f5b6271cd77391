"""A plain CNN, as in many papers on GTZAN: the first that this project had."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .config import ModelConfig
from .network import Network
from .pool import make_pool, pool_stage

__all__ = ["Cnn"]


class Cnn(Network):
    """Three convolution blocks (32, 64, 128), global average pooling, dense 256."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for n_in, n_out in ((1, 32), (32, 64), (64, 128)):
            conv = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*blocks)
        self.pool = make_pool(config.pool, 128)
        self.dense = nn.Linear(128, 256)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(256, config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] to logits float32 [B, n_classes]."""
        pooled = self.pool(self.blocks(db_above_floor))
        logits: torch.Tensor = self.head(self.dropout(torch.relu(self.dense(pooled))))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the convolutions, a pool with weights, the dense layer and the head."""
        return [("blocks", self.blocks), *pool_stage(self.pool), ("dense", self.dense), ("head", self.head)]
