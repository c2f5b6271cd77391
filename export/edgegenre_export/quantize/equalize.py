"""Equalizing channels, so that all of a tensor's channels use its int8 steps.

An activation has one scale for all channels, and a channel whose values are small gets few steps. The layer that makes
it can make it larger by a factor that the next layer's weights take back, and the network stays what it was
(Nagel et al., *Data-Free Quantization*, 2019; Meller et al., *Same, Same But Different*, 2019). ReLUs and shortcuts in
between keep the factor: tensors that are added to each other share it. A depthwise layer has a weight scale for each
channel, so that it takes back any factor for nothing; where a layer sums channels, small weights lose what small
activations gain, and half of the way (in dB) is gone.
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

from .fixed_ranges import QUANTILE

__all__ = ["equalize"]

_LEAST_FACTOR = 0.05
_WINDOWS = 32
_ADDS = (operator.add, operator.iadd, torch.add)


def equalize(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
    """Return a copy of a network with even channels between convolutions; a network that fx cannot trace as it is.

    Parameters
    ----------
    network
        In eval mode.
    cells
        int8 [N, n_mels, frames], calibration windows, of which some are used.
    top_db
        The spec's.
    """
    even = copy.deepcopy(network)
    try:
        traced = fx.symbolic_trace(even)
    except Exception:  # fx raises what the traced code raises: control flow that depends on values
        return even
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = network_input(chosen, top_db)
    watch = _Watch(traced)
    with torch.inference_mode():
        watch.run(db)
    for tied in _tied(dict(even.named_modules()), traced.graph, watch.shapes):
        shares = [watch.largest[node] / watch.largest[node].max().clamp(min=1e-12) for node in tied.kept]
        factors = torch.stack(shares).amax(dim=0).clamp(min=_LEAST_FACTOR)
        if any(taker.groups == 1 for taker in tied.takers):
            factors = factors.sqrt()
        with torch.no_grad():
            for norm in tied.makers:
                norm.weight.div_(factors)
                norm.bias.div_(factors)
            for taker in tied.takers:
                taker.weight.mul_(factors[None, :, None, None] if taker.groups == 1 else factors[:, None, None, None])
    return even


class _Watch(fx.Interpreter):
    """Runs a traced network and keeps each image's shape and each channel's magnitude that most windows stay within."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, torch.Size] = {}
        self.largest: dict[fx.Node, torch.Tensor] = {}

    def run_node(self, node: fx.Node) -> object:
        made = super().run_node(node)
        if isinstance(made, torch.Tensor) and made.ndim == 4:
            self.shapes[node] = made.shape
            self.largest[node] = made.flatten(2).abs().amax(dim=2).quantile(QUANTILE, dim=0).clone()
        return made


@dataclasses.dataclass(frozen=True, slots=True)
class _Tied:
    """Tensors whose channels must share their factors, what makes them and what takes them in.

    A ReLU is part of the layer in front of it, so that what goes into one alone is never rounded and not ``kept``.
    """

    kept: list[fx.Node]
    makers: list[nn.BatchNorm2d]
    takers: list[nn.Conv2d]


def _tied(modules: dict[str, nn.Module], graph: fx.Graph, shapes: dict[fx.Node, torch.Size]) -> list[_Tied]:
    """Return the tied tensors that batch norms make and nothing but convolutions takes in, each used once."""
    called = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    sets: dict[fx.Node, list[fx.Node]] = {}
    for node in graph.nodes:
        joined = [node]
        for given in node.all_input_nodes if _keeps_factors(node, modules) else ():
            joined += [one for one in sets[given] if one not in joined]
        for one in joined:
            sets[one] = joined
    found = []
    for nodes in {id(joined): joined for joined in sets.values()}.values():
        makers = [_once(node, modules, called) for node in nodes if not _keeps_factors(node, modules)]
        behind = {user for node in nodes for user in node.users if user not in nodes}
        takers = [_once(node, modules, called) for node in behind]
        if not takers or len({shapes.get(node) for node in nodes}) != 1:
            continue
        norms = [maker for maker in makers if isinstance(maker, nn.BatchNorm2d) and maker.affine]
        convs = [taker for taker in takers if isinstance(taker, nn.Conv2d) and _is_plain(taker)]
        if len(norms) == len(makers) and len(convs) == len(takers):
            kept = [node for node in nodes if not all(_is_relu(user, modules) for user in node.users)]
            found.append(_Tied(kept, norms, convs))
    return found


def _keeps_factors(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether what comes out has the factors of what goes in."""
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.ReLU | nn.Identity)
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
