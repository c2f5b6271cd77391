"""The networks: one table of builders, each from a frozen config to a torch module.

Every network takes float32 [B, 1, n_mels, 128] in dB above the window's floor (0 … 80, what the int8 cells
stand for) and returns logits float32 [B, n_classes]. A batch norm behind the first convolution learns the
input's scale, so that nothing but the cells themselves enters the exported graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from edgegenre_runtime.frontend import CheckpointError, UsageError

__all__ = ["MODELS", "ModelConfig", "build"]


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a network is.

    Attributes
    ----------
    name
        Key of :data:`MODELS`.
    n_classes
        Number of logits.
    dropout
        Probability of dropping a unit of the dense layer, 0 to 1.
    """

    name: str
    n_classes: int
    dropout: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """Return the config as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build a config from :meth:`to_dict`; raises :class:`CheckpointError` for unknown keys."""
        known = {field.name for field in dataclasses.fields(cls)}
        if set(values) != known:
            raise CheckpointError(f"model config has unknown or missing keys: {sorted(set(values) ^ known)}")
        return cls(**values)


class Cnn(nn.Module):
    """The seed project's CNN: three convolution blocks (32, 64, 128), global average pooling, dense 256."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for n_in, n_out in ((1, 32), (32, 64), (64, 128)):
            conv = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False)
            blocks += [conv, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*blocks)
        self.dense = nn.Linear(128, 256)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(256, config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, n_mels, 128] to logits float32 [B, n_classes]."""
        pooled = self.blocks(db_above_floor).mean(dim=(2, 3))  # not a pool: int8 means get a scale of their own
        logits: torch.Tensor = self.head(self.dropout(torch.relu(self.dense(pooled))))
        return logits


MODELS: dict[str, Callable[[ModelConfig], nn.Module]] = {"cnn": Cnn}


def build(config: ModelConfig) -> nn.Module:
    """Return a freshly initialised network; raises :class:`UsageError` for a name that is not in the table."""
    if config.name not in MODELS:
        raise UsageError(f"model {config.name!r} is unknown; there are: {', '.join(sorted(MODELS))}")
    return MODELS[config.name](config)
