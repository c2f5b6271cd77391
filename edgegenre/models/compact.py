"""A small network for int8: inverted residuals of depthwise convolutions with ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .config import ModelConfig
from .network import Network
from .pool import make_pool, pool_stage

__all__ = ["COMPACT_BLOCKS", "Compact"]

_STEM_CHANNELS, _LAST_CHANNELS = 8, 192
COMPACT_BLOCKS = (
    # kernel, expanded channels, channels, stride       size of the output for 128 x 128
    (3, 8, 8, 1),  # 64 x 128
    (3, 24, 16, 2),  # 32 x 64
    (3, 32, 16, 1),
    (5, 32, 16, 2),  # 16 x 32
    (5, 48, 16, 1),
    (5, 48, 16, 1),
    (3, 96, 32, 2),  # 8 x 16
    (3, 80, 32, 1),
    (3, 72, 32, 1),
    (3, 72, 32, 1),
    (3, 192, 48, 1),
    (3, 272, 48, 1),
    (5, 272, 64, 2),  # 4 x 8
)


def _conv(
    n_in: int, n_out: int, kernel: int, *, relu: bool = True, stride: int | tuple[int, int] = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(n_out)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; with a shortcut where the shape stays (Sandler et al., 2018)."""

    def __init__(self, n_in: int, kernel: int, n_expanded: int, n_out: int, stride: int) -> None:
        super().__init__()
        layers = [_conv(n_in, n_expanded, 1)] if n_expanded != n_in else []
        layers.append(_conv(n_expanded, n_expanded, kernel, stride=stride, groups=n_expanded))
        layers.append(_conv(n_expanded, n_out, 1, relu=False))
        self.block = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, H, W] to [B, n_out, H / stride, W / stride]."""
        projected: torch.Tensor = self.block(x)
        return projected + x if self.has_shortcut else projected


class Compact(Network):
    """The first thirteen of mn04's fifteen blocks without squeeze-excites and hard swishes, on our frames.

    The shape is mn04's so that its AudioSet weights can initialize it (:mod:`.compact_start`). mn04 sees a frame every
    10 ms and halves time in its stem; our frames are further apart, so that the stem here halves the bands alone.
    Every convolution has a batch norm that is folded into it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(1, _STEM_CHANNELS, 3, stride=(2, 1))]
        n_channels = _STEM_CHANNELS
        for kernel, n_expanded, n_out, stride in COMPACT_BLOCKS:
            layers.append(InvertedResidual(n_channels, kernel, n_expanded, n_out, stride))
            n_channels = n_out
        layers.append(_conv(n_channels, _LAST_CHANNELS, 1))
        self.features = nn.Sequential(*layers)
        self.pool = make_pool(config.pool, _LAST_CHANNELS)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(_LAST_CHANNELS, config.n_classes)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] in dB above the floor to logits float32 [B, n_classes]."""
        pooled = self.pool(self.features(db_above_floor))
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the stem, each block, the last convolution, a pool with weights and the head."""
        blocks = [(f"features.{i}", block) for i, block in enumerate(self.features)]
        return [*blocks, *pool_stage(self.pool), ("head", self.head)]
