"""Networks side by side, each started from published weights, and one dense layer on what they hear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from ..network import Network
from ..published.musicnn import TAGS

__all__ = ["Joined"]


class Joined(Network):
    """Members whose heads are left out; the features of :meth:`heard` go through dropout and a dense layer.

    Attributes
    ----------
    starts
        Name of each member, and whether tensors are the published weights that it starts from.
    members
        The networks by name. musicnn is the last, so that its tags are the last features.
    """

    starts: ClassVar[Mapping[str, Callable[[Mapping[str, torch.Tensor]], bool]]]

    def __init__(self, members: Mapping[str, Network], n_features: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.members = nn.ModuleDict(members)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to logits float32 [B, n_classes]."""
        heard = [member(db_above_floor) for member in self.members.values()]
        logits: torch.Tensor = self.head(self.dropout(torch.cat(heard, dim=1)))
        return logits

    def tags(self) -> dict[str, int]:
        """Return which feature of the head each of musicnn's tags is."""
        return {tag: self.head.in_features - len(TAGS) + i for i, tag in enumerate(TAGS)}

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the networks and the head."""
        return [*((f"members.{name}", member) for name, member in self.members.items()), ("head", self.head)]
