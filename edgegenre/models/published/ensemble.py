"""Three published networks side by side: artist, mn04 and musicnn, and one dense layer on what they hear.

They were taught by different music and different labels (artists, sounds, tags), and hear different things. Made for
:mod:`edgegenre.train.head_regression`, which fits the dense layer and leaves the bodies as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network
from .artist import Artist, is_artist
from .mn04 import Mn04, is_mn04
from .musicnn import Musicnn, is_musicnn

__all__ = ["MEMBERS", "Ensemble", "member_of"]

MEMBERS = ("artist", "mn04", "musicnn")


class Ensemble(Network):
    """The features of the three networks, joined, and a dense layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        artist, mn04, musicnn = Artist(config), Mn04(config), Musicnn(config)
        dense = mn04.classifier[2]
        assert isinstance(dense, nn.Linear)  # noqa: S101  # the first behind the mean
        n_features = artist.head.in_features + dense.in_features + musicnn.head.in_features
        mn04.classifier = nn.Sequential(*list(mn04.classifier)[:2])
        artist.head = musicnn.head = nn.Identity()  # type: ignore[assignment]
        self.members = nn.ModuleDict({"artist": artist, "mn04": mn04, "musicnn": musicnn})
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(n_features, config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to logits float32 [B, n_classes]."""
        heard = [member(db_above_floor) for member in self.members.values()]
        logits: torch.Tensor = self.head(self.dropout(torch.cat(heard, dim=1)))
        return logits

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the three networks and the head."""
        return [*((f"members.{name}", self.members[name]) for name in MEMBERS), ("head", self.head)]

    def paths(self) -> Sequence[Sequence[nn.Module]]:
        """Return the ways through each member."""
        return [path for member in self.members.values() for path in _network(member).paths()]


def _network(member: nn.Module) -> Network:
    assert isinstance(member, Network)  # noqa: S101  # made above
    return member


def member_of(given: Mapping[str, torch.Tensor]) -> str | None:
    """Return which member published tensors are of, by their keys; None if of no one."""
    known = zip(MEMBERS, (is_artist, is_mn04, is_musicnn), strict=True)
    return next((name for name, is_its in known if is_its(given)), None)
