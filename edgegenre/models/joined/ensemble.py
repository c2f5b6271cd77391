"""Three published networks side by side: artist, mn04 and musicnn, and one dense layer on what they hear.

They were taught by different music and different labels (artists, sounds, tags), and hear different things. Made for
:mod:`edgegenre.train.frozen.fit_head`, which fits the dense layer and leaves the bodies as published.
"""

from __future__ import annotations

from torch import nn

from ..config import ModelConfig
from ..published.artist import Artist, is_artist
from ..published.mn04 import Mn04, is_mn04
from ..published.musicnn import Musicnn, is_musicnn
from .base import Joined

__all__ = ["Ensemble"]


class Ensemble(Joined):
    """The features of the three networks, joined, and a dense layer."""

    starts = {"artist": is_artist, "mn04": is_mn04, "musicnn": is_musicnn}  # noqa: RUF012

    def __init__(self, config: ModelConfig) -> None:
        artist, mn04, musicnn = Artist(config), Mn04(config), Musicnn(config)
        dense = mn04.classifier[2]
        assert isinstance(dense, nn.Linear)  # noqa: S101  # the first behind the mean
        n_features = artist.head.in_features + dense.in_features + musicnn.head.in_features
        mn04.classifier = nn.Sequential(*list(mn04.classifier)[:2])
        artist.head = musicnn.head = nn.Identity()  # type: ignore[assignment]
        members = {"artist": artist, "mn04": mn04, "musicnn": musicnn}
        super().__init__(members, n_features, config.n_classes, config.dropout)
