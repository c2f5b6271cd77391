"""Equalising channels, so that all of a tensor's channels use its int8 steps.

An activation has one scale for all channels, and a channel whose values are small gets few steps. Behind a ReLU a
channel can be made larger by a factor that the next layer's weights take back, and the network stays what it was
(Nagel et al., *Data-Free Quantization*, 2019; Meller et al., *Same, Same But Different*, 2019). A depthwise layer has a
weight scale for each channel, so that it takes back any factor for nothing; where a layer sums channels, small weights
lose what small activations gain, and half of the way (in dB) is gone.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from edgegenre_runtime.quantised import dequantise

from .replay import INPUT_ZERO_POINT, input_scale_db

__all__ = ["equalise"]

_LEAST_FACTOR = 0.05
_WINDOWS = 32


def equalise(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
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
        graph = fx.symbolic_trace(even).graph
    except Exception:  # fx raises what the traced code raises: control flow that depends on values
        return even
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = torch.from_numpy(dequantise(chosen, input_scale_db(top_db), INPUT_ZERO_POINT))[:, None]
    for norm, relu, following in _pairs(even, graph):
        largest = _largest(even, relu, db)
        factors = (largest / largest.max().clamp(min=1e-12)).clamp(min=_LEAST_FACTOR, max=1.0)
        if following.groups == 1:
            factors = factors.sqrt()
        with torch.no_grad():
            norm.weight.div_(factors)
            norm.bias.div_(factors)
            following.weight.mul_(
                factors[:, None, None, None] if following.groups > 1 else factors[None, :, None, None]
            )
    return even


def _pairs(network: nn.Module, graph: fx.Graph) -> list[tuple[nn.BatchNorm2d, nn.ReLU, nn.Conv2d]]:
    """Return batch norm, ReLU and the one convolution behind them, wherever they follow each other."""
    modules = dict(network.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    uses = [node.target for node in calls]
    pairs = []
    for node in calls:
        behind = list(node.users)
        before = node.args[0] if node.args else None
        if not (isinstance(modules[str(node.target)], nn.ReLU) and len(behind) == 1 and isinstance(before, fx.Node)):
            continue
        names = [str(one.target) for one in (before, node, behind[0])]
        if any(one.op != "call_module" or uses.count(one.target) != 1 for one in (before, node, behind[0])):
            continue
        norm, relu, following = (modules[name] for name in names)
        if not (isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.ReLU) and isinstance(following, nn.Conv2d)):
            continue
        if norm.affine and len(before.users) == 1 and following.groups in (1, following.out_channels):
            pairs.append((norm, relu, following))
    return pairs


def _largest(network: nn.Module, relu: nn.Module, db: torch.Tensor) -> torch.Tensor:
    """Return the largest value of each channel behind a ReLU that most windows stay within, float32 [C]."""
    seen: list[torch.Tensor] = []
    hook = relu.register_forward_hook(lambda _, given, made: seen.append(made.flatten(2).amax(dim=2)))
    with torch.inference_mode():
        network(db)
    hook.remove()
    return seen[0].quantile(0.9, dim=0)
