"""musicnn: convolutions over bands and over time side by side, trained on 50 tags of the Million Song Dataset.

Pons, Serra, *musicnn: Pre-trained Convolutional Neural Networks for Music Audio Tagging*, 2019; the published weights
(``MSD_musicnn``, ISC license) as an ``.npz`` with the checkpoint's layers. Every batch norm stands behind the ReLU.

The first layers see one input channel, and kernels of 38 and 67 bands by 7 frames. Here two neighboring bands are the
two channels of a pair, and a kernel moves by a pair; the places between are a second convolution by the same kernel, of
the bands moved by one. The sums are those that were published; one input channel takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..config import ModelConfig
from ..network import Network
from .musicnn_input import MusicnnMels

__all__ = ["Musicnn", "is_musicnn", "start_from_musicnn"]

_EPS = 1e-3
_TALL = ((204, 38), (204, 67))
"""Channels and bands of a kernel of 7 frames."""
_LONG = ((51, 128), (51, 64), (51, 32))
"""Channels and frames of a kernel of one band."""
_FRAMES = 7
_FRONT = sum(n for n, _ in (*_TALL, *_LONG))
_MIDDLE, _N_MIDDLE = 64, 3
_POOLED = 2 * (_FRONT + _N_MIDDLE * _MIDDLE)
_HIDDEN, _TAGS = 200, 50
_NORM = ("weight", "bias", "running_mean", "running_var")


class SignedNorm(nn.Module):
    """ReLU and batch norm of the largest of many values of a channel, as if they had come before the choice.

    Where the batch norm turns a channel over (gamma below 0), the largest of its results is that of the smallest value.
    Such a channel's convolution is stored with the other sign, and turned back here.
    """

    sign: torch.Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("sign", torch.ones(1, n_channels, 1, 1))
        self.norm = nn.BatchNorm2d(n_channels, eps=_EPS)

    def forward(self, largest: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, C, 1, T] to the same shape."""
        made: torch.Tensor = self.norm(torch.relu(largest * self.sign))
        return made


class Tall(nn.Module):
    """A convolution over many bands and a few frames; of all bands the largest value is kept.

    Parameters
    ----------
    n_out, n_bands
        Channels, and bands of the kernel.
    """

    def __init__(self, n_out: int, n_bands: int) -> None:
        super().__init__()
        self.n_unused = n_bands % 2
        self.conv = nn.Conv2d(2, n_out, ((n_bands + 1) // 2, _FRAMES), padding=(0, _FRAMES // 2))
        self.end = SignedNorm(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 96, T] to [B, n_out, 1, T]."""
        moved = x[:, :, 1:] if self.n_unused else x[:, :, 1:-1]
        moved = nn.functional.pad(moved, (0, 0, 0, self.n_unused))  # a band that has weight 0
        pairs = [bands.reshape(len(bands), -1, 2, bands.shape[3]).transpose(1, 2) for bands in (x, moved)]
        made: torch.Tensor = self.end(torch.maximum(*(_largest_band(self.conv(bands)) for bands in pairs)))
        return made


class Long(nn.Module):
    """A convolution over many frames of one band, the same for all bands; of them the largest value is kept."""

    def __init__(self, n_out: int, n_frames: int) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d(((n_frames - 1) // 2, n_frames // 2, 0, 0))
        self.conv = nn.Conv2d(1, n_out, (1, n_frames))
        self.end = SignedNorm(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 96, T] to [B, n_out, 1, T]."""
        made: torch.Tensor = self.end(_largest_band(self.conv(self.pad(x))))
        return made


class Middle(nn.Module):
    """A convolution over a few frames of all channels."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, _MIDDLE, (1, _FRAMES), padding=(0, _FRAMES // 2))
        self.norm = nn.BatchNorm2d(_MIDDLE, eps=_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, n_in, 1, T] to [B, 64, 1, T]."""
        made: torch.Tensor = self.norm(torch.relu(self.conv(x)))
        return made


class Musicnn(Network):
    """The network as published, on our windows; the head sees the hidden units of its last layers and its 50 tags."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mels = MusicnnMels()
        self.input_norm = nn.BatchNorm2d(1, eps=_EPS)
        self.front = nn.ModuleList([*(Tall(*shape) for shape in _TALL), *(Long(*shape) for shape in _LONG)])
        self.middle = nn.ModuleList(Middle(n_in) for n_in in (_FRONT, *[_MIDDLE] * (_N_MIDDLE - 1)))
        self.pooled_norm = nn.BatchNorm1d(_POOLED, eps=_EPS)
        self.dense = nn.Linear(_POOLED, _HIDDEN)
        self.dense_norm = nn.BatchNorm1d(_HIDDEN, eps=_EPS)
        self.tags = nn.Linear(_HIDDEN, _TAGS)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(_HIDDEN + _TAGS, config.n_classes)

    def forward(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Map float32 [B, 1, 128, T] in dB above the floor to logits float32 [B, n_classes]."""
        hidden = self.dense_norm(torch.relu(self.dense(self.pooled_norm(self.pooled(db_above_floor)))))
        logits: torch.Tensor = self.head(self.dropout(torch.cat([hidden, self.tags(hidden)], dim=1)))
        return logits

    def pooled(self, db_above_floor: torch.Tensor) -> torch.Tensor:
        """Return maximum and mean over time of every channel, float32 [B, 1506], all maxima first."""
        x = self.input_norm(self.mels(db_above_floor))
        heard = [torch.cat([layer(x) for layer in self.front], dim=1)]
        for layer in self.middle:
            made = layer(heard[-1])
            heard.append(made + heard[-1] if len(heard) > 1 else made)
        found = torch.cat(heard, dim=1)
        largest = nn.functional.max_pool2d(found, (1, found.shape[3]))  # amax has no int8 operator
        return torch.cat([largest.flatten(1), found.mean(dim=(2, 3))], dim=1)

    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return the norm of the input, each convolution, the dense layers, and the head."""
        front = [(f"front.{i}", layer) for i, layer in enumerate(self.front)]
        middle = [(f"middle.{i}", layer) for i, layer in enumerate(self.middle)]
        dense = [(name, getattr(self, name)) for name in ("pooled_norm", "dense", "dense_norm", "tags")]
        return [("input_norm", self.input_norm), *front, *middle, *dense, ("head", self.head)]

    def paths(self) -> Sequence[Sequence[nn.Module]]:
        """Return a way for each of the layers side by side, through those that follow."""
        return [[layer, *self.middle] for layer in self.front]


def _largest_band(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.max_pool2d(x, (x.shape[2], 1))  # amax has no int8 operator


def is_musicnn(given: Mapping[str, torch.Tensor]) -> bool:
    """Return whether tensors are the published musicnn's, by their keys."""
    return {"batch_normalization.0", "conv2d_4.0", "midend_conv3.0", "bn_flatpool.0"} <= set(given)


def start_from_musicnn(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict of a :class:`Musicnn` without its head.

    A layer has ``.0``, weights ([out, 1, frames, bands], in the middle [out, 1, frames, in], dense [in, out]), and
    ``.1``, its bias; a batch norm ``.0`` to ``.3``, gamma, beta, mean and variance.
    """
    made = _norm(given, "batch_normalization", "input_norm")
    for i in range(len(_TALL) + len(_LONG)):
        conv = f"conv2d_{i}" if i else "conv2d"
        weight, bias = given[f"{conv}.0"].transpose(2, 3), given[f"{conv}.1"]
        weight = _in_pairs(weight) if i < len(_TALL) else weight
        sign = torch.where(given[f"batch_normalization_{i + 1}.0"] < 0, -1.0, 1.0).reshape(-1, 1, 1, 1)
        made |= {f"front.{i}.conv.weight": weight * sign, f"front.{i}.conv.bias": bias * sign.flatten()}
        made |= {f"front.{i}.end.sign": sign.transpose(0, 1)}
        made |= _norm(given, f"batch_normalization_{i + 1}", f"front.{i}.end.norm")
    for i in range(_N_MIDDLE):
        weight, bias = (given[f"midend_conv{i + 1}.{part}"] for part in range(2))
        made |= {f"middle.{i}.conv.weight": weight.permute(0, 3, 1, 2), f"middle.{i}.conv.bias": bias}
        made |= _norm(given, f"bn_midend_conv{i + 1}", f"middle.{i}.norm")
    made |= _norm(given, "bn_flatpool", "pooled_norm") | _norm(given, "bn_dense", "dense_norm")
    for theirs, ours in (("dense", "dense"), ("dense_1", "tags")):
        made |= {f"{ours}.weight": given[f"{theirs}.0"].T, f"{ours}.bias": given[f"{theirs}.1"]}
    order = torch.arange(_POOLED).reshape(-1, 2).T.flatten()  # published: maximum and mean of a channel side by side
    made |= {key: made[key][..., order] for key in ("dense.weight", *(f"pooled_norm.{name}" for name in _NORM))}
    return {key: tensor.clone() for key, tensor in made.items()}


def _in_pairs(weight: torch.Tensor) -> torch.Tensor:
    """Return [out, 2, bands / 2, frames] of weights [out, 1, bands, frames], after an odd last band one of zeros."""
    even = nn.functional.pad(weight, (0, 0, 0, weight.shape[2] % 2))
    return even.reshape(len(even), -1, 2, even.shape[3]).transpose(1, 2)


def _norm(given: Mapping[str, torch.Tensor], theirs: str, ours: str) -> dict[str, torch.Tensor]:
    return {f"{ours}.{name}": given[f"{theirs}.{i}"].reshape(-1) for i, name in enumerate(_NORM)}
