"""The artist network: 1-D convolutions over time with the mel bands as channels, trained to tell artists apart.

Park, Lee, Park, Ha, Nam, *Representation Learning of Music Using Artist Labels*, ISMIR 2018; the published weights
(siamese, 10 000 artists of the Million Song Dataset) are by J. Lee, MIT license.

Its input is ``(log10(1 + 10 m) - 0.22620339) / 0.25794547`` with ``m`` librosa's mel bands of the magnitude: 22050 Hz,
n_fft 1024, hop 512, 128 Slaney bands, 129 frames. Bands and frames are ours at ``seed3s``; what differs is the FFT
(2048 here) and that ours are powers:

1. Both filters have area 1 over Hz, so that a band's weights sum to one over the width of a bin, 10.77 Hz for ours and
   21.53 Hz for theirs. Our band ``p`` is then ``P / 10.77`` with ``P`` the mean power of its bins. Noise-like music has
   half of that in a bin of their FFT, whose window is half as long, and the mean magnitude of such a bin is
   ``sqrt(π)/2 = 0.886`` times the root of its mean power (Rayleigh). So ``m = 0.886 · sqrt(p · 10.77 / 2) / 21.53``.
2. A window does not tell how loud it is: its loudest cell is taken to be at :data:`PEAK_DB`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network

__all__ = ["ARTIST_LAYERS", "PEAK_DB", "Artist", "artist_input", "frames_seen", "is_artist", "start_from_artist"]

PEAK_DB = 26.0
"""Level of a window's loudest cell, dB of librosa's power mel at full scale 1."""

_TOP_DB = 80.0
_N_MELS = 128
_BIN_HZ = 22050 / 1024
_RAYLEIGH = math.sqrt(math.pi) / 2
_INPUT_MEAN, _INPUT_DEVIATION = 0.22620339, 0.25794547
_EPS = 1e-3
ARTIST_LAYERS = ((128, 4, 4), (128, 4, 4), (128, 4, 4), (128, 2, 2), (256, 1, 1))
"""Channels, kernel and max-pool of each layer."""


class Artist(Network):
    """The network as published, on our windows; the head sees mean and maximum over time of every layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        n_in = _N_MELS
        for n_out, kernel, _ in ARTIST_LAYERS:
            self.convs.append(nn.Conv2d(n_in, n_out, (1, kernel)))
            self.norms.append(nn.BatchNorm2d(n_out, eps=_EPS))
            n_in = n_out
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * sum(n_out for n_out, _, _ in ARTIST_LAYERS), config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to logits float32 [B, n_classes]."""
        x = artist_input(db_above_floor).transpose(1, 2)
        means, peaks = [], []
        for (_, kernel, pool), conv, norm in zip(ARTIST_LAYERS, self.convs, self.norms, strict=True):
            x = nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2))
            x = nn.functional.max_pool2d(torch.relu(norm(conv(x))), (1, pool))
            means.append(x.mean(dim=(2, 3)))
            peaks.append(nn.functional.max_pool2d(x, tuple(x.shape[2:])).flatten(1))  # amax has no int8 operator
        logits: torch.Tensor = self.head(self.dropout(torch.cat([*means, *peaks], dim=1)))
        return logits

    def reach(self) -> tuple[int, int]:
        """Return all bands, and what the last pool sees."""
        return _N_MELS, frames_seen(ARTIST_LAYERS)

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return each convolution with its batch norm, and the head."""
        layers: list[tuple[str, nn.Module]] = []
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            layers += [(f"convs.{i}", conv), (f"norms.{i}", norm)]
        return [*layers, ("head", self.head)]


def frames_seen(layers: Sequence[tuple[int, int, int]]) -> int:
    """Return how many frames the last of layers like :data:`ARTIST_LAYERS` sees."""
    frames = step = 1
    for _, kernel, pool in layers:
        frames += (kernel - 1 + pool - 1) * step
        step *= pool
    return frames


def artist_input(db_above_floor: torch.Tensor) -> torch.Tensor:
    """Return the published network's input, of any shape, for dB above the window's floor."""
    power = 10.0 ** ((db_above_floor + (PEAK_DB - _TOP_DB)) / 10)
    magnitude = _RAYLEIGH / _BIN_HZ * torch.sqrt(power * (_BIN_HZ / 4))
    return (torch.log10(1 + 10 * magnitude) - _INPUT_MEAN) / _INPUT_DEVIATION


def is_artist(given: Mapping[str, torch.Tensor]) -> bool:
    """Return whether tensors are the published artist network's, by their keys."""
    return set(given) == {f"{kind}{i}" for kind in "wbn" for i in range(1, len(ARTIST_LAYERS) + 1)}


def start_from_artist(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict of an :class:`Artist` without its head, from ``w1 … w5``, ``b1 …`` and ``n1 …``.

    ``w`` is [out, in, kernel], ``n`` holds gamma, beta, mean and variance of the batch norm, [4, out].
    """
    made: dict[str, torch.Tensor] = {}
    for i in range(len(ARTIST_LAYERS)):
        weight, bias, norm = (given[f"{kind}{i + 1}"] for kind in "wbn")
        made |= {f"convs.{i}.weight": weight[:, :, None, :], f"convs.{i}.bias": bias}
        made |= dict(
            zip((f"norms.{i}.{n}" for n in ("weight", "bias", "running_mean", "running_var")), norm, strict=True)
        )
    return {key: tensor.clone() for key, tensor in made.items()}
