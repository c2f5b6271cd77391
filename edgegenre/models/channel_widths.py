"""The widths of a network's layers: read from a pruned network and applied to a new one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgegenre_runtime.errors import CheckpointError

__all__ = ["layer_widths", "set_widths"]

_Layer = nn.Conv2d | nn.Linear | nn.BatchNorm2d


def layer_widths(network: nn.Module) -> tuple[tuple[str, int, int], ...]:
    """Return name, inputs and outputs of every convolution, dense layer and batch norm, in the network's order."""
    return tuple((name, *_width(layer)) for name, layer in _layers(network).items())


def set_widths(network: nn.Module, widths: Sequence[tuple[str, int, int]]) -> None:
    """Set the widths of every layer, in place, with new weights where they change.

    A depthwise convolution stays depthwise.

    Raises
    ------
    CheckpointError
        If the names are not those of the network's layers, or a layer cannot have these widths.
    """
    layers = _layers(network)
    if [name for name, _, _ in widths] != list(layers):
        differing = sorted({name for name, _, _ in widths} ^ set(layers))
        raise CheckpointError(
            f"model config has widths of other layers than the network: {differing or 'another order'}"
        )
    for name, n_in, n_out in widths:
        layer = layers[name]
        if (n_in, n_out) == _width(layer):
            continue
        if isinstance(layer, nn.BatchNorm2d):
            _resize_norm(layer, n_out)
        elif isinstance(layer, nn.Linear):
            layer.in_features, layer.out_features = n_in, n_out
            _renew(layer, (n_out, n_in))
        else:
            _resize_convolution(name, layer, n_in, n_out)


def _layers(network: nn.Module) -> dict[str, _Layer]:
    return {name: m for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))}


def _width(layer: _Layer) -> tuple[int, int]:
    if isinstance(layer, nn.BatchNorm2d):
        return layer.num_features, layer.num_features
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _resize_convolution(name: str, layer: nn.Conv2d, n_in: int, n_out: int) -> None:
    if layer.groups == layer.in_channels > 1:
        layer.groups = n_in
    if n_in % layer.groups or n_out % layer.groups:
        raise CheckpointError(f"layer {name} has {layer.groups} groups and cannot take {n_in} to {n_out} channels")
    layer.in_channels, layer.out_channels = n_in, n_out
    _renew(layer, (n_out, n_in // layer.groups, *layer.kernel_size))


def _renew(layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...]) -> None:
    layer.weight = nn.Parameter(torch.empty(shape))
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.zeros(shape[0]))


def _resize_norm(layer: nn.BatchNorm2d, n: int) -> None:
    layer.num_features = n
    layer.weight, layer.bias = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))
    layer.running_mean, layer.running_var = torch.zeros(n), torch.ones(n)
