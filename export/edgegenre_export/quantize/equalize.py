"""Cross-layer equalization, so that all of a tensor's channels use its int8 steps.

An activation has one scale for all channels, and a channel whose values are small gets few steps. The layer in front
can scale it up by a factor that the next layer's weights take back, and the network stays what it was
(Nagel et al., *Data-Free Quantization*, 2019; Meller et al., *Same, Same But Different*, 2019). ReLUs, max-pools, zero
padding, shortcuts and concatenations in between pass the factor on: channels that are added to each other share it. A
depthwise layer has a weight scale for each channel, so that it takes back any factor for nothing; where a layer sums
channels, small weights lose what small activations gain, and half of the way (in dB) is gone.
"""

from __future__ import annotations

import copy
import operator

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from edgegenre.evaluate.scoring import network_input
from edgegenre.models.channel_scale import ChannelScale
from edgegenre_export.activation_range import QUANTILE

__all__ = ["equalize"]

_MIN_FACTOR = 0.05
_WINDOWS = 32
_PASSING = nn.ReLU | nn.Identity | nn.MaxPool2d | nn.ZeroPad2d
_PASSING_FUNCTIONS = (torch.relu, nn.functional.max_pool2d)
_ADDS = (operator.add, operator.iadd, torch.add)


def equalize(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
    """Return a copy of a network with equalized channels between convolutions; one that fx cannot trace is only copied.

    Parameters
    ----------
    network
        In eval mode.
    cells
        int8 [N, n_mels, frames], calibration windows, of which some are used.
    top_db
        The spec's.
    """
    equalized = copy.deepcopy(network)
    try:
        traced = fx.GraphModule(equalized, _Tracer().trace(equalized))
    except Exception:  # fx raises what the traced code raises: control flow that depends on values
        return equalized
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = network_input(chosen, top_db)
    watch = _Watch(traced)
    with torch.inference_mode():
        watch.run(db)
    channels = _Channels(dict(equalized.named_modules()), traced.graph, watch.shapes)
    factors = channels.factors(watch.largest)
    with torch.no_grad():
        for layer, rows in channels.producers:
            layer.weight.div_(factors[rows].reshape(-1, *[1] * (layer.weight.ndim - 1)))
            layer.bias.div_(factors[rows])  # type: ignore[union-attr]  # both kinds have one
        for conv, rows in channels.consumers:
            by_channel = factors[rows]
            conv.weight.mul_(by_channel[None, :, None, None] if conv.groups == 1 else by_channel[:, None, None, None])
    return equalized


class _Tracer(fx.Tracer):
    """Leaves our own layer a node, as torch's are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ChannelScale) or super().is_leaf_module(m, module_qualified_name)


class _Watch(fx.Interpreter):
    """Runs a traced network and records shapes, and the magnitude of each channel that most windows stay within."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, torch.Size] = {}
        self.largest: dict[fx.Node, torch.Tensor] = {}

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        if isinstance(value, torch.Tensor) and value.ndim == 4:
            self.shapes[node] = value.shape
            self.largest[node] = value.flatten(2).abs().amax(dim=2).quantile(QUANTILE, dim=0).clone()
        return value


class _Channels:
    """The channels of all tensors, numbered: those that must share a factor have the same root.

    A channel is free to have a factor if batch norms (or fixed ones) produce it and only convolutions consume it, each
    layer called once. A ReLU or a concatenation is part of what is in front of it, so that a tensor that only goes into
    one does not have int8 steps of its own.

    Attributes
    ----------
    producers, consumers
        A batch norm and its output's channels, a convolution and its input's.
    """

    def __init__(self, modules: dict[str, nn.Module], graph: fx.Graph, shapes: dict[fx.Node, torch.Size]) -> None:
        self._modules = modules
        self._called = [str(node.target) for node in graph.nodes if node.op == "call_module"]
        self._roots: list[int] = []
        self._frozen: set[int] = set()
        self._of: dict[fx.Node, list[int]] = {}
        self.producers: list[tuple[nn.BatchNorm2d | ChannelScale, list[int]]] = []
        self.consumers: list[tuple[nn.Conv2d, list[int]]] = []
        for node in graph.nodes:
            if node in shapes:
                self._of[node] = self._channels(node, shapes[node][1])
            else:
                self._freeze(node)

    def factors(self, largest: dict[fx.Node, torch.Tensor]) -> torch.Tensor:
        """Return what each channel is divided by, float32 [n], from the magnitudes of each tensor's channels."""
        n = len(self._roots)
        roots = torch.tensor([self._root(i) for i in range(n)], dtype=torch.int64)
        shares, is_summed = torch.zeros(n), torch.zeros(n, dtype=torch.bool)
        for node, rows in self._of.items():
            if not all(self._is_in_front(user) for user in node.users):
                share = largest[node] / largest[node].max().clamp(min=1e-12)
                shares = shares.scatter_reduce(0, roots[rows], share, "amax")
        for conv, rows in self.consumers:
            if conv.groups == 1:
                is_summed[roots[rows]] = True
        found = shares.clamp(min=_MIN_FACTOR)
        found = torch.where(is_summed, found.sqrt(), found)
        frozen = {self._root(i) for i in self._frozen}
        consumed = {self._root(i) for _, rows in self.consumers for i in rows}
        found[[i for i in range(n) if i in frozen or i not in consumed]] = 1.0
        return found[roots]

    def _channels(self, node: fx.Node, n: int) -> list[int]:
        """Return the channels of a node's output; what the node does not pass on is frozen."""
        sources = [self._of.get(source, []) for source in node.all_input_nodes]
        if _passes_factors(node, self._modules) and all(len(rows) == n for rows in sources):
            for rows in sources[1:]:
                for one, other in zip(sources[0], rows, strict=True):
                    self._roots[self._root(other)] = self._root(one)
            return sources[0]
        if _joins_channels(node) and sum(map(len, sources)) == n:
            return [channel for rows in sources for channel in rows]
        layer = self._once(node)
        made = list(range(len(self._roots), len(self._roots) + n))
        self._roots += made
        if isinstance(layer, nn.Conv2d) and _is_plain(layer):
            self.consumers.append((layer, sources[0]))
        else:
            self._freeze(node)
        if isinstance(layer, ChannelScale) or (isinstance(layer, nn.BatchNorm2d) and layer.affine):
            self.producers.append((layer, made))
        else:
            self._frozen.update(made)
        return made

    def _freeze(self, node: fx.Node) -> None:
        self._frozen.update(channel for source in node.all_input_nodes for channel in self._of.get(source, ()))

    def _root(self, channel: int) -> int:
        while self._roots[channel] != channel:
            channel = self._roots[channel]
        return channel

    def _is_in_front(self, node: fx.Node) -> bool:
        is_relu = node.op == "call_module" and isinstance(self._modules[str(node.target)], nn.ReLU)
        return is_relu or node.target is torch.relu or _joins_channels(node)

    def _once(self, node: fx.Node) -> nn.Module | None:
        """Return the module that a node calls if no other node calls it."""
        if node.op != "call_module" or self._called.count(str(node.target)) != 1:
            return None
        return self._modules[str(node.target)]


def _passes_factors(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether the output has the factors of the input."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _PASSING)
    if node.op != "call_function":
        return False
    return node.target in _PASSING_FUNCTIONS or (node.target in _ADDS and len(node.all_input_nodes) == 2)


def _joins_channels(node: fx.Node) -> bool:
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    return bool(node.op == "call_function" and node.target is torch.cat and dim == 1)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether a factor of an input channel can go into the weights: a dense layer, or one filter a channel."""
    return conv.groups == 1 or conv.groups == conv.in_channels == conv.out_channels
