"""musicnn: convolutions over bands and over time side by side, trained on 50 tags of the Million Song Dataset.

Pons, Serra, *musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging*, 2019; the published weights
(``MSD_musicnn``, ISC license) as an ``.npz`` with the checkpoint's layers. Every batch norm stands behind the ReLU, and
is a factor and a term a channel here.

Most of the published first layers never answer: of 561 channels, the batch norms of 499 have seen nothing but 0, or the
pool behind them nothing that varies. They are left out, and what they add to the dense layer is in its bias.

The first layers see one input channel, and kernels of 38 and 67 bands by 7 frames, or of one band by up to 128 frames.
On one channel a kernel of any runtime is slow. Here eight frames in a row are eight channels (:class:`Stack`): 7 frames
and one of weight 0, or every eighth place of a kernel along time. The sums are those that were published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from edgegenre_runtime.errors import CheckpointError

from ..channel_scale import ChannelScale
from ..config import ModelConfig
from ..network import Network
from .musicnn_input import MUSICNN_BANDS, MUSICNN_FRAMES, MusicnnMels

__all__ = ["TAGS", "Musicnn", "is_musicnn", "start_from_musicnn"]

_EPS = 1e-3
_N_MELS, _N_FRAMES = 128, 128
_TALL = ((22, 38), (14, 67))
"""Channels and bands of a kernel of 7 frames."""
_LONG = ((2, 128, False), (1, 128, True), (6, 64, False), (17, 32, False))
"""Channels and frames of a kernel of one band, and whether the least of all bands is kept, not the largest."""
_PUBLISHED = ((0, False), (1, False), (2, False), (2, True), (3, False), (4, False))
"""Which published layer each of them is of, and whether of its channels that the batch norm turns over."""
_N_PUBLISHED = (204, 204, 51, 51, 51)
_LEAST_VARIANCE = 1e-5
"""Of a channel's largest value in a window, below which it never answers."""
_FRAMES = 7
_STACKED = 8
"""Frames in a row that are channels."""
_BEFORE, _BEHIND = (_LONG[0][1] - 1) // 2, _LONG[0][1] // 2
"""Frames of padding, for the longest kernel."""
_N_STACKED = MUSICNN_FRAMES + _BEFORE + _BEHIND - _STACKED + 1
_FRONT = sum(n for n, *_ in (*_TALL, *_LONG))
_MIDDLE, _N_MIDDLE = 64, 3
_HEARD = (_FRONT, *[_MIDDLE] * _N_MIDDLE)
_MEANS = 6
"""Means that the mean over time is of."""
_HIDDEN = 200
TAGS = (
    *("rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock"),
    *("jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow"),
    *("electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient"),
    *("acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening"),
    *("sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad"),
    *("House", "happy"),
)
"""What the 50 last units mean: the most frequent tags of the Million Song Dataset's listeners."""


class Stack(nn.Module):
    """Eight frames in a row as channels: that of a frame, and of the seven that follow it."""

    shifts: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shifts", torch.eye(_STACKED)[:, None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 96, T] to [B, 8, 96, T + 120]; the first frame is 63 of zeros before theirs."""
        return nn.functional.conv2d(nn.functional.pad(x, (_BEFORE, _BEHIND)), self.shifts)


class Tall(nn.Module):
    """A convolution over many bands and a few frames; of all bands the largest value is kept.

    Parameters
    ----------
    n_out, n_bands
        Channels, and bands of the kernel.
    """

    def __init__(self, n_out: int, n_bands: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_STACKED, n_out, (n_bands, 1))
        self.largest = nn.MaxPool2d((MUSICNN_BANDS - n_bands + 1, 1))  # amax has no int8 operator
        self.scale = ChannelScale(n_out)

    def forward(self, stacked: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 8, 96, 306] to [B, n_out, 1, 186]."""
        first = _BEFORE - _FRAMES // 2
        used = stacked[..., first : first + MUSICNN_FRAMES]
        made: torch.Tensor = self.scale(self.largest(torch.relu(self.conv(used))))
        return made


class Long(nn.Module):
    """A convolution over many frames of one band, the same for all bands; of them one value is kept.

    Parameters
    ----------
    n_out, n_frames
        Channels, and frames of the kernel.
    is_least
        Whether the least of all bands is kept: the largest of a kernel of the other sign.
    """

    def __init__(self, n_out: int, n_frames: int, is_least: bool) -> None:
        super().__init__()
        self.first, self.last = _BEFORE - (n_frames - 1) // 2, _N_STACKED - _BEHIND + n_frames // 2
        self.is_least = is_least
        self.conv = nn.Conv2d(_STACKED, n_out, (1, n_frames // _STACKED), dilation=(1, _STACKED))
        self.largest = nn.MaxPool2d((MUSICNN_BANDS, 1))
        self.scale = ChannelScale(n_out)

    def forward(self, stacked: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 8, 96, 306] to [B, n_out, 1, 186]."""
        found = self.conv(stacked[..., self.first : self.last])
        kept = torch.relu(self.largest(found) * -1.0) if self.is_least else self.largest(torch.relu(found))
        made: torch.Tensor = self.scale(kept)
        return made


class Middle(nn.Module):
    """A convolution over a few frames of all channels."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, _MIDDLE, (1, _FRAMES), padding=(0, _FRAMES // 2))
        self.scale = ChannelScale(_MIDDLE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, 1, T] to [B, 64, 1, T]."""
        made: torch.Tensor = self.scale(torch.relu(self.conv(x)))
        return made


class Pool(nn.Module):
    """Maximum and mean over time of each channel, each brought to the scale of all: in int8 they share their steps.

    The mean is one of means: 37 weights a channel, not 186.
    """

    def __init__(self, n_channels: int, n_frames: int) -> None:
        super().__init__()
        self.largest = nn.MaxPool2d((1, n_frames))  # amax has no int8 operator
        self.peak = ChannelScale(n_channels)
        n_each, n_means = n_frames // _MEANS, (1, _MEANS)
        self.means = nn.Conv2d(n_channels, n_channels, (1, n_each), stride=(1, n_each), groups=n_channels)
        self.mean = nn.Conv2d(n_channels, n_channels, n_means, groups=n_channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, 1, T] to [B, 2 C], all maxima first."""
        return torch.cat([self.peak(self.largest(x)), self.mean(self.means(x))], dim=1).flatten(1)


class Musicnn(Network):
    """The network as published, on our windows; the head sees the hidden units of its last layers and its 50 tags."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mels = MusicnnMels()
        self.input_scale = ChannelScale(1)
        self.stack = Stack()
        self.front = nn.ModuleList([*(Tall(*shape) for shape in _TALL), *(Long(*shape) for shape in _LONG)])
        self.middle = nn.ModuleList(Middle(n_in) for n_in in (_FRONT, *[_MIDDLE] * (_N_MIDDLE - 1)))
        self.pools = nn.ModuleList(Pool(n, MUSICNN_FRAMES) for n in _HEARD)
        self.dense = nn.Linear(2 * sum(_HEARD), _HIDDEN)
        self.tags = nn.Linear(_HIDDEN, len(TAGS))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(_HIDDEN + len(TAGS), config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, 128] in dB above the floor to logits float32 [B, n_classes]."""
        hidden = self.hidden(db_above_floor)
        logits: torch.Tensor = self.head(self.dropout(torch.cat([hidden, self.tags(hidden)], dim=1)))
        return logits

    def hidden(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Return what the layer of the tags sees, float32 [B, 200]."""
        stacked = self.stack(self.input_scale(self.mels(db_above_floor)))
        heard = [torch.cat([layer(stacked) for layer in self.front], dim=1)]
        for layer in self.middle:
            made = layer(heard[-1])
            heard.append(made + heard[-1] if len(heard) > 1 else made)
        pooled = torch.cat([pool(x) for pool, x in zip(self.pools, heard, strict=True)], dim=1)
        hidden: torch.Tensor = torch.relu(self.dense(pooled))
        return hidden

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the scale of the input, each convolution, the dense layers, and the head."""
        front = [(f"front.{i}", layer) for i, layer in enumerate(self.front)]
        middle = [(f"middle.{i}", layer) for i, layer in enumerate(self.middle)]
        dense = [(name, getattr(self, name)) for name in ("pools", "dense", "tags")]
        return [("input_scale", self.input_scale), *front, *middle, *dense, ("head", self.head)]

    def reach(self) -> tuple[int, int]:
        """Return all bands, and what the longest kernel and those behind it see of our frames."""
        theirs = max(n_frames for _, n_frames, _ in _LONG) + _N_MIDDLE * (_FRAMES - 1)
        return _N_MELS, math.ceil(theirs * _N_FRAMES / MUSICNN_FRAMES)


def is_musicnn(given: Mapping[str, torch.Tensor]) -> bool:
    """Return whether tensors are the published musicnn's, by their keys."""
    return {"batch_normalization.0", "conv2d_4.0", "midend_conv3.0", "bn_flatpool.0"} <= set(given)


def start_from_musicnn(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict of a :class:`Musicnn` without its head.

    A layer has ``.0``, weights ([out, 1, frames, bands], in the middle [out, 1, frames, in], dense [in, out]), and
    ``.1``, its bias; a batch norm ``.0`` to ``.3``, gamma, beta, mean and variance.

    Raises
    ------
    CheckpointError
        If other channels answer than in the published file.
    """
    kept = []
    made = _scale(given, "batch_normalization", "input_scale")
    answers = torch.split(given["bn_flatpool.3"][::2][: sum(_N_PUBLISHED)] > _LEAST_VARIANCE, list(_N_PUBLISHED))
    shapes = (*((n, False) for n, _ in _TALL), *((n, True) for n, *_ in _LONG))
    for i, ((n_kept, is_long), (layer, is_turned)) in enumerate(zip(shapes, _PUBLISHED, strict=True)):
        conv, norm = f"conv2d_{layer}" if layer else "conv2d", f"batch_normalization_{layer + 1}"
        used = torch.nonzero(answers[layer] & ((given[f"{norm}.0"] < 0) == is_turned)).flatten()
        if len(used) != n_kept:
            raise CheckpointError(
                f"weights: {len(used)} channels of {conv} answer, {n_kept} of the published musicnn's"
            )
        weight, bias = given[f"{conv}.0"][used].transpose(2, 3), given[f"{conv}.1"][used]
        weight = _every_eighth(weight) if is_long else _frames_in_front(weight)
        sign = -1 if is_turned else 1
        made |= {f"front.{i}.conv.weight": weight * sign, f"front.{i}.conv.bias": bias * sign}
        made |= _scale(given, norm, f"front.{i}.scale", used)
        kept.append(used + sum(_N_PUBLISHED[:layer]))
    front = torch.cat(kept)
    for i in range(_N_MIDDLE):
        weight, bias = (given[f"midend_conv{i + 1}.{part}"] for part in range(2))
        weight = weight[..., front] if i == 0 else weight
        made |= {f"middle.{i}.conv.weight": weight.permute(0, 3, 1, 2), f"middle.{i}.conv.bias": bias}
        made |= _scale(given, f"bn_midend_conv{i + 1}", f"middle.{i}.scale")
    made |= _dense(given, front)
    factor, added = _affine(given, "bn_dense")
    tags = given["dense_1.0"].T
    made |= {"tags.weight": tags * factor, "tags.bias": given["dense_1.1"] + tags @ added}
    return {key: tensor.clone() for key, tensor in made.items()}


def _dense(given: Mapping[str, torch.Tensor], front: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the pool and the dense layer, of the front's channels that are kept and of the middle's.

    Published, maximum and mean of a channel are side by side. What does not vary is at its mean.
    """
    factor, added = (values.reshape(-1, 2) for values in _affine(given, "bn_flatpool"))
    beta, varies = given["bn_flatpool.1"].reshape(-1, 2), given["bn_flatpool.3"].reshape(-1, 2) > _LEAST_VARIANCE
    factor, added = torch.where(varies, factor, 0.0), torch.where(varies, added, beta)
    weight = given["dense.0"].T.reshape(_HIDDEN, -1, 2)
    used = torch.cat([front, torch.arange(sum(_N_PUBLISHED), weight.shape[1])])
    unused = torch.ones(weight.shape[1], dtype=torch.bool).index_fill(0, used, value=False)
    constant = (weight[:, unused] * beta[unused]).sum(dim=(1, 2))
    made, parts = {"dense.bias": given["dense.1"] + constant}, torch.split(used, list(_HEARD))
    made["dense.weight"] = torch.cat([weight[:, part].transpose(1, 2).flatten(1) for part in parts], dim=1)
    for pool, part in enumerate(parts):
        for i, (name, n_frames) in enumerate((("peak", 1), ("means", MUSICNN_FRAMES // _MEANS))):
            by_channel = factor[part, i][:, None, None, None]
            made |= {f"pools.{pool}.{name}.weight": by_channel.expand(-1, 1, 1, n_frames) / n_frames}
            made |= {f"pools.{pool}.{name}.bias": added[part, i]}
        made |= {f"pools.{pool}.mean.weight": torch.full((len(part), 1, 1, _MEANS), 1 / _MEANS)}
    return made


def _frames_in_front(weight: torch.Tensor) -> torch.Tensor:
    """Return [out, 8, bands, 1] of weights [out, 1, bands, 7]; the eighth frame has weight 0."""
    return nn.functional.pad(weight, (0, _STACKED - _FRAMES))[:, 0].transpose(1, 2)[..., None]


def _every_eighth(weight: torch.Tensor) -> torch.Tensor:
    """Return [out, 8, 1, frames / 8] of weights [out, 1, 1, frames]."""
    return weight.reshape(len(weight), -1, _STACKED).transpose(1, 2)[:, :, None]


def _scale(
    given: Mapping[str, torch.Tensor], theirs: str, ours: str, used: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Return the weights of a :class:`ChannelScale` that does what a batch norm does, of all channels or some."""
    factor, added = (values if used is None else values[used] for values in _affine(given, theirs))
    return {f"{ours}.weight": factor[:, None, None, None], f"{ours}.bias": added}


def _affine(given: Mapping[str, torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a batch norm multiplies each channel by, and then adds."""
    gamma, beta, mean, variance = (given[f"{name}.{i}"].reshape(-1) for i in range(4))
    factor = gamma / torch.sqrt(variance + _EPS)
    return factor, beta - factor * mean
