"""VGG-11 and VGG-16 (Simonyan and Zisserman, 2014), without batch norm, with torchvision's state-dict keys."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network
from .input_scale import fold_input_scale

__all__ = ["Vgg", "vgg11", "vgg16"]

_POOL = 0
_VGG11 = (64, _POOL, 128, _POOL, 256, 256, _POOL, 512, 512, _POOL, 512, 512, _POOL)
_VGG16 = (64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL, 512, 512, 512, _POOL, 512, 512, 512, _POOL)
_GRID = 7
_DENSE = 4096


class Vgg(Network):
    """VGG for one input channel.

    Parameters
    ----------
    config
        Number of classes and dropout.
    channels
        Output channels of each 3 x 3 convolution, 0 for a 2 x 2 max pool.
    """

    def __init__(self, config: ModelConfig, channels: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for n_out in channels:
            if n_out == _POOL:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
                n_in = n_out
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((_GRID, _GRID))
        self.classifier = nn.Sequential(
            nn.Linear(n_in * _GRID * _GRID, _DENSE),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(_DENSE, _DENSE),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(_DENSE, config.n_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)
        fold_input_scale(self)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] to logits float32 [B, n_classes]."""
        logits: torch.Tensor = self.classifier(self.avgpool(self.features(db_above_floor)).flatten(1))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return each convolution, the two dense layers and the head."""
        convolutions = [
            (f"features.{i}", layer) for i, layer in enumerate(self.features) if isinstance(layer, nn.Conv2d)
        ]
        dense = [(f"classifier.{i}", self.classifier[i]) for i in (0, 3)]
        return [*convolutions, *dense, ("head", self.classifier[6])]


def vgg11(config: ModelConfig) -> Vgg:
    """Return VGG-11 (configuration A)."""
    return Vgg(config, _VGG11)


def vgg16(config: ModelConfig) -> Vgg:
    """Return VGG-16 (configuration D)."""
    return Vgg(config, _VGG16)
