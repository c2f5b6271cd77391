"""Temporal and musicnn side by side: how a window sounds, and which of 50 tags its listeners would give it.

The regression of a few hundred tracks starts from the tags (:mod:`.tag_prior`): what a genre's name means to listeners
is known without any track, and holds for music that sounds like none of them.
"""

from __future__ import annotations

import torch
from torch import nn

from ..config import ModelConfig
from ..published.artist import is_artist
from ..published.musicnn import TAGS, Musicnn, is_musicnn
from ..temporal import Temporal
from .base import Joined

__all__ = ["TemporalTags"]


class _Tags(Musicnn):
    """musicnn up to its tags, which it says of a window."""

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, 128] in dB above the floor to the tags' logits float32 [B, 50]."""
        tags: torch.Tensor = self.tags(self.hidden(db_above_floor))
        return tags


class TemporalTags(Joined):
    """The means of :class:`edgegenre.models.temporal.Temporal`, the tags of musicnn, and a dense layer."""

    starts = {"temporal": is_artist, "musicnn": is_musicnn}  # noqa: RUF012

    def __init__(self, config: ModelConfig) -> None:
        temporal, tags = Temporal(config), _Tags(config)
        n_features = temporal.head.in_features + tags.tags.out_features
        temporal.head = tags.head = nn.Identity()  # type: ignore[assignment]
        super().__init__({"temporal": temporal, "musicnn": tags}, n_features, config.n_classes, config.dropout)

    @torch.no_grad()
    def set_regression(
        self, mean: torch.Tensor, deviation: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        """Let what makes the features standardize them, as temporal's means: they then share their steps in int8."""
        temporal, tags = self.members.values()
        assert isinstance(temporal, Temporal)  # noqa: S101  # made above
        assert isinstance(tags, Musicnn)  # noqa: S101
        n_means = len(mean) - len(TAGS)
        temporal.standardize(mean[:n_means], deviation[:n_means])
        tags.tags.weight.div_(deviation[n_means:, None])
        tags.tags.bias.sub_(mean[n_means:]).div_(deviation[n_means:])
        self.head.weight.copy_(weight)
        self.head.bias.copy_(bias)
