"""Cross-layer equalization, so that all of a tensor's channels use its int8 steps.

An activation has one scale for all channels, and a channel whose values are small gets few steps. The layer in front
can scale it up by a factor that the next layer's weights take back, and the network stays what it was
(Nagel et al., *Data-Free Quantization*, 2019; Meller et al., *Same, Same But Different*, 2019). ReLUs, max-pools, zero
padding and shortcuts in between pass the factor on: tensors that are added to each other share it. A depthwise layer
has a weight scale for each channel, so that it takes back any factor for nothing; where a layer sums channels, small
weights lose what small activations gain, and half of the way (in dB) is gone.
"""

from __future__ import annotations

import copy
import dataclasses
import operator

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from edgegenre.evaluate.scoring import network_input
from edgegenre_export.activation_range import QUANTILE

__all__ = ["equalize"]

_MIN_FACTOR = 0.05
_WINDOWS = 32
_PASSING = nn.ReLU | nn.Identity | nn.MaxPool2d | nn.ZeroPad2d
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
        traced = fx.symbolic_trace(equalized)
    except Exception:  # fx raises what the traced code raises: control flow that depends on values
        return equalized
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = network_input(chosen, top_db)
    watch = _Watch(traced)
    with torch.inference_mode():
        watch.run(db)
    for tied in _tied(dict(equalized.named_modules()), traced.graph, watch.shapes):
        shares = [watch.largest[node] / watch.largest[node].max().clamp(min=1e-12) for node in tied.rounded]
        factors = torch.stack(shares).amax(dim=0).clamp(min=_MIN_FACTOR)
        if any(conv.groups == 1 for conv in tied.consumers):
            factors = factors.sqrt()
        with torch.no_grad():
            for norm in tied.producers:
                norm.weight.div_(factors)
                norm.bias.div_(factors)
            for conv in tied.consumers:
                conv.weight.mul_(factors[None, :, None, None] if conv.groups == 1 else factors[:, None, None, None])
    return equalized


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


@dataclasses.dataclass(frozen=True, slots=True)
class _TiedTensors:
    """Tensors whose channels must share their factors, the layers that produce them and the layers that consume them.

    A ReLU is part of the layer in front of it, so that a tensor that only goes into one is not among the ``rounded``.
    """

    rounded: list[fx.Node]
    producers: list[nn.BatchNorm2d]
    consumers: list[nn.Conv2d]


def _tied(modules: dict[str, nn.Module], graph: fx.Graph, shapes: dict[fx.Node, torch.Size]) -> list[_TiedTensors]:
    """Return the tied tensors that batch norms produce and only convolutions consume, each layer called once."""
    called = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    sets: dict[fx.Node, list[fx.Node]] = {}
    for node in graph.nodes:
        joined = [node]
        for source in node.all_input_nodes if _passes_factors(node, modules) else ():
            joined += [one for one in sets[source] if one not in joined]
        for one in joined:
            sets[one] = joined
    found = []
    for nodes in {id(joined): joined for joined in sets.values()}.values():
        producers = [_once(node, modules, called) for node in nodes if not _passes_factors(node, modules)]
        behind = {user for node in nodes for user in node.users if user not in nodes}
        consumers = [_once(node, modules, called) for node in behind]
        if not consumers or len({shapes[node][1] if node in shapes else 0 for node in nodes}) != 1:
            continue
        norms = [layer for layer in producers if isinstance(layer, nn.BatchNorm2d) and layer.affine]
        convs = [layer for layer in consumers if isinstance(layer, nn.Conv2d) and _is_plain(layer)]
        if len(norms) == len(producers) and len(convs) == len(consumers):
            rounded = [node for node in nodes if not all(_is_relu(user, modules) for user in node.users)]
            found.append(_TiedTensors(rounded, norms, convs))
    return found


def _passes_factors(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether the output has the factors of the input."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _PASSING)
    return node.op == "call_function" and (node.target in _ADDS and len(node.all_input_nodes) == 2)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether a factor of an input channel can go into the weights: a dense layer, or one filter a channel."""
    return conv.groups == 1 or conv.groups == conv.in_channels == conv.out_channels


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    return node.op == "call_module" and isinstance(modules[str(node.target)], nn.ReLU)


def _once(node: fx.Node, modules: dict[str, nn.Module], called: list[str]) -> nn.Module | None:
    """Return the module that a node calls if no other node calls it."""
    if node.op != "call_module" or called.count(str(node.target)) != 1:
        return None
    return modules[str(node.target)]
