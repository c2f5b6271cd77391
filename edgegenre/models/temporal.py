"""The artist network for int8: 1-D convolutions over time, the mel bands as channels, from operators of an MCU.

Everything but the input is as in :mod:`.published.artist`, so that the published weights fit. There, a window enters
through ``log10(1 + 10 m)``, with ``m`` a magnitude: as a function of dB that is a softplus, flat in the quiet and a
line in the loud. Here it is a sum of three ReLUs of the dB, fitted to it: a convolution of one weight a band, added
up. It costs a hundredth of the multiply-adds, and no operator but those of any int8 runtime.

The head sees the mean over time of four layers: low ones hear timbre, high ones what happens over seconds. The fifth
adds nothing that validation shows, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from .config import ModelConfig
from .network import Network
from .published.artist import ARTIST_LAYERS, artist_input, frames_seen, start_from_artist

__all__ = ["Temporal", "start_temporal"]

_N_MELS, _N_FRAMES = 128, 128
_TOP_DB = 80.0
_EPS = 1e-3
_KNEES_DB = (30.0, 46.0, 60.0)
_LAYERS = ARTIST_LAYERS[:4]  # their pools make one position of 128 frames


class Temporal(Network):
    """Bands as channels from the input on: no convolution on one channel, none at full resolution in both axes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        _, slopes = input_knees()
        self.knees = nn.ModuleList(_ramp(knee, slope) for knee, slope in zip(_KNEES_DB, slopes, strict=True))
        self.pads, self.convs, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.pools, self.means = nn.ModuleList(), nn.ModuleList()
        n_in, n_frames = _N_MELS, _N_FRAMES
        for n_out, kernel, pool in _LAYERS:
            self.pads.append(nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0)))
            self.convs.append(nn.Conv2d(n_in, n_out, (1, kernel)))
            self.norms.append(nn.BatchNorm2d(n_out, eps=_EPS))
            self.pools.append(nn.Sequential(nn.ReLU(), nn.MaxPool2d((1, pool))))
            n_in, n_frames = n_out, n_frames // pool
            self.means.append(_mean_over_time(n_out, n_frames))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(sum(n_out for n_out, _, _ in _LAYERS), config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, 128] in dB above the floor to logits float32 [B, n_classes]."""
        logits: torch.Tensor = self.head(self.dropout(self.features(db_above_floor)))
        return logits

    def features(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Return what the head sees, the mean over time of each channel of four layers, float32 [B, 512]."""
        bands = db_above_floor.transpose(1, 2)
        first, second, third = (torch.relu(conv(bands)) for conv in self.knees)
        x = first + second + third
        means = []
        for pad, conv, norm, pool, mean in zip(self.pads, self.convs, self.norms, self.pools, self.means, strict=True):
            x = pool(norm(conv(pad(x))))
            means.append(mean(x).flatten(1))
        return torch.cat(means, dim=1)

    @torch.no_grad()
    def set_regression(
        self, mean: torch.Tensor, deviation: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        """Let the means standardize what the head sees: in int8 all features then have steps of the same size."""
        self.standardize(mean, deviation)
        self.head.weight.copy_(weight)
        self.head.bias.copy_(bias)

    @torch.no_grad()
    def standardize(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Let each mean over time be less its ``mean`` and in units of its ``deviation``, float32 [512], in place."""
        first = 0
        for layer in self.means:
            assert isinstance(layer, nn.Conv2d)  # noqa: S101  # made above
            assert layer.bias is not None  # noqa: S101
            part = slice(first, first + layer.out_channels)
            layer.weight.div_(deviation[part, None, None, None])
            layer.bias.sub_(mean[part]).div_(deviation[part])
            first = part.stop

    def reach(self) -> tuple[int, int]:
        """Return all bands, and what the last pool sees."""
        return _N_MELS, frames_seen(_LAYERS)

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the knees, each convolution with its batch norm and its mean, and the head."""
        layers: list[tuple[str, nn.Module]] = [(f"knees.{i}", conv) for i, conv in enumerate(self.knees)]
        for i, (conv, norm, mean) in enumerate(zip(self.convs, self.norms, self.means, strict=True)):
            layers += [(f"convs.{i}", conv), (f"norms.{i}", norm), (f"means.{i}", mean)]
        return [*layers, ("head", self.head)]


def _ramp(knee_db: float, slope: float) -> nn.Conv2d:
    """Return ``slope * (dB - knee)`` of each band as a convolution of one weight a band."""
    conv = nn.Conv2d(_N_MELS, _N_MELS, 1, groups=_N_MELS)
    nn.init.constant_(conv.weight, slope)
    nn.init.constant_(conv.bias, -slope * knee_db)  # type: ignore[arg-type]  # it has one
    return conv


def _mean_over_time(n_channels: int, n_frames: int) -> nn.Conv2d:
    """Return the mean over all frames as a convolution: an int8 mean operator would round to the steps of its input."""
    conv = nn.Conv2d(n_channels, n_channels, (1, n_frames), groups=n_channels)
    nn.init.constant_(conv.weight, 1 / n_frames)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one
    return conv


def input_knees() -> tuple[float, tuple[float, ...]]:
    """Return floor and slopes of the ReLUs: ``floor + sum of slope * relu(dB - knee)`` is the artist network's input.

    They are fitted by least squares over 0 to 80 dB above the floor, what lies near 50 dB weighing the most.
    """
    db = torch.linspace(0, _TOP_DB, 801, dtype=torch.float64)
    weight = torch.exp(-(((db - 50) / 20) ** 2) / 2)
    ramps = torch.stack([torch.ones_like(db), *(torch.relu(db - knee) for knee in _KNEES_DB)], dim=1)
    wanted = artist_input(db) * weight
    floor, *slopes = torch.linalg.lstsq(ramps * weight[:, None], wanted[:, None]).solution[:, 0].tolist()
    return floor, tuple(slopes)


def start_temporal(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict of a :class:`Temporal` without knees and head, from the published artist network.

    The sum of the ReLUs lacks the floor of the published input, which the first convolution's bias takes over; zero
    padding then is a window's floor.
    """
    unused = {f"{kind}.{i}." for kind in ("convs", "norms") for i in range(len(_LAYERS), len(ARTIST_LAYERS))}
    state = {key: value for key, value in start_from_artist(given).items() if not key.startswith(tuple(unused))}
    floor, _ = input_knees()
    state["convs.0.bias"] = state["convs.0.bias"] + floor * state["convs.0.weight"].sum(dim=(1, 2, 3))
    return state
