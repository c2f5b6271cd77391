"""EfficientAT's mn04: MobileNetV3-Large of width 0.4, trained on AudioSet, with the published state-dict keys.

Schmid, Koutini, Widmer, *Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation*, 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network
from .mn04_input import KaldiMels

__all__ = ["Mn04", "is_mn04"]

_STEM_CHANNELS = 8
_LAST_CHANNELS, _DENSE = 384, 512
_BLOCKS = (
    # kernel, expanded channels, channels, squeezed channels (0: none), hard swish, stride
    (3, 8, 8, 0, False, 1),
    (3, 24, 16, 0, False, 2),
    (3, 32, 16, 0, False, 1),
    (5, 32, 16, 8, False, 2),
    (5, 48, 16, 16, False, 1),
    (5, 48, 16, 16, False, 1),
    (3, 96, 32, 0, True, 2),
    (3, 80, 32, 0, True, 1),
    (3, 72, 32, 0, True, 1),
    (3, 72, 32, 0, True, 1),
    (3, 192, 48, 48, True, 1),
    (3, 272, 48, 72, True, 1),
    (5, 272, 64, 72, True, 2),
    (5, 384, 64, 96, True, 1),
    (5, 384, 64, 96, True, 1),
)


def is_mn04(published: Mapping[str, torch.Tensor]) -> bool:
    """Return whether tensors are mn04's, by two of its keys."""
    return {"features.16.0.weight", "features.4.block.2.conc_se_layers.0.fc1.weight"} <= set(published)


class SqueezeExcite(nn.Module):
    """A factor for each channel, 0 to 1, from the means of all channels (Hu et al., 2017)."""

    def __init__(self, n_channels: int, n_squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(n_channels, n_squeezed)
        self.fc2 = nn.Linear(n_squeezed, n_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, H, W] to the same shape."""
        factor = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * factor[:, :, None, None]


class ChannelExcite(nn.Module):
    """The published network's holder of squeeze-excites, here the one over channels."""

    def __init__(self, n_channels: int, n_squeezed: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([SqueezeExcite(n_channels, n_squeezed)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, H, W] to the same shape."""
        excited: torch.Tensor = self.conc_se_layers[0](x)
        return excited


def _conv(
    n_in: int, n_out: int, kernel: int, activation: nn.Module | None, stride: int = 1, groups: int = 1
) -> nn.Module:
    conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    layers = [conv, nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers) if activation is None else nn.Sequential(*layers, activation)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, squeeze-excite, project; with a shortcut where the shape stays."""

    def __init__(
        self, n_in: int, kernel: int, n_expanded: int, n_out: int, n_squeezed: int, hard_swish: bool, stride: int
    ) -> None:
        super().__init__()
        activation: nn.Module = nn.Hardswish() if hard_swish else nn.ReLU()
        layers = [_conv(n_in, n_expanded, 1, activation)] if n_expanded != n_in else []
        layers.append(_conv(n_expanded, n_expanded, kernel, activation, stride, groups=n_expanded))
        if n_squeezed:
            layers.append(ChannelExcite(n_expanded, n_squeezed))
        layers.append(_conv(n_expanded, n_out, 1, None))
        self.block = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, H, W] to [B, n_out, H / stride, W / stride]."""
        projected: torch.Tensor = self.block(x)
        return projected + x if self.has_shortcut else projected


class Mn04(Network):
    """mn04 on our windows: the cells go through :class:`.mn04_input.KaldiMels`, then the network as published."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mels = KaldiMels()
        layers = [_conv(1, _STEM_CHANNELS, 3, nn.Hardswish(), stride=2)]
        n_channels = _STEM_CHANNELS
        for kernel, n_expanded, n_out, n_squeezed, hard_swish, stride in _BLOCKS:
            layers.append(InvertedResidual(n_channels, kernel, n_expanded, n_out, n_squeezed, hard_swish, stride))
            n_channels = n_out
        layers.append(_conv(n_channels, _LAST_CHANNELS, 1, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(_LAST_CHANNELS, _DENSE),
            nn.Hardswish(),
            nn.Dropout(config.dropout),
            nn.Linear(_DENSE, config.n_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to logits float32 [B, n_classes]."""
        logits: torch.Tensor = self.classifier(self.features(self.mels(db_above_floor)))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return each block, the dense layer and the head."""
        blocks = [(f"features.{i}", block) for i, block in enumerate(self.features)]
        return [*blocks, ("classifier.2", self.classifier[2]), ("head", self.classifier[5])]
