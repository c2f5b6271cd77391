"""Rounding weights to int8 by what their inputs look like, layer after layer.

Rounding each weight to its nearest step makes errors that add up over a layer's inputs and on through the network.
Inputs are alike, though (neighbouring cells, channels of one origin), and errors can cancel: a weight's error is made
up for by the weights that are not yet rounded, as the covariance of the layer's inputs tells (Frantar et al., *GPTQ*,
2023, which is Hassibi & Stork's *Optimal Brain Surgeon* in a fixed order). What is left of the error's mean goes into
the bias (Nagel et al., *Data-Free Quantization*, 2019). Inputs are those of the network as rounded so far, clipped and
rounded to their own int8 steps (:mod:`.fixed_ranges`), and means are held to the network as trained.

Both exporters find exactly these steps, because the largest weight of a channel stays the largest: it is what they take
for 127.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.evaluate.scoring import network_input

from .fixed_ranges import activation_range

__all__ = ["round_weights", "shift_logits"]

_MAX_STEP = 127
_DAMPING = 0.01  # of the mean variance, so that inputs that never vary don't make the covariance singular
_LEAST_VARIANCE = 1e-9
_WINDOWS = 64
_BATCH = 16
_Float = npt.NDArray[np.float64]


def round_weights(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
    """Return a copy of a network whose layers have weights on an int8 grid, one scale a channel.

    Parameters
    ----------
    network
        In eval mode. Convolutions with zero padding and dense layers are rounded, others stay as they are.
    cells
        int8 [N, n_mels, frames], calibration windows, of which some 64, evenly spread, are used.
    top_db
        The spec's.
    """
    rounded = copy.deepcopy(network)
    trained = dict(network.named_modules())
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = network_input(chosen, top_db)
    hooks = []
    for name, layer in list(rounded.named_modules()):
        if not _is_rounded(layer):
            continue
        facts = _facts(network, trained[name], db)
        if facts is not None:  # a layer that the network never calls has no inputs to go by
            (low, high), means = facts
            hooks.append(layer.register_forward_pre_hook(_quantizer(low, high)))
            _round_layer(layer, *_moments(rounded, layer, db), means)
    for hook in hooks:
        hook.remove()
    return rounded


def shift_logits(network: nn.Module, shift: npt.NDArray[np.float32]) -> nn.Module:
    """Return a copy of a network whose logits are ``shift``, float32 [C], higher.

    The last dense layer or convolution with C outputs and a bias is taken for the one that makes them; without one
    the copy is as it was.
    """
    shifted = copy.deepcopy(network)
    layers = [m for m in shifted.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and len(m.weight) == len(shift)]
    if layers and layers[-1].bias is not None:
        with torch.no_grad():
            layers[-1].bias += torch.from_numpy(shift)
    return shifted


def _is_rounded(layer: nn.Module) -> TypeGuard[nn.Conv2d | nn.Linear]:
    if isinstance(layer, nn.Conv2d):
        return not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
    return isinstance(layer, nn.Linear)


def _facts(network: nn.Module, layer: nn.Module, db: torch.Tensor) -> tuple[tuple[float, float], _Float] | None:
    """Return the range of a layer's input and the mean of each of its output channels, float64 [C_out]."""
    lows: list[float] = []
    highs: list[float] = []
    means = []
    for given, made in _calls(network, layer, db):
        lows += given.flatten(1).amin(dim=1).tolist()
        highs += given.flatten(1).amax(dim=1).tolist()
        by_channel = made.flatten(2).mean(dim=2) if isinstance(layer, nn.Conv2d) else made.reshape(-1, made.shape[-1])
        means.append(by_channel.double())
    return (activation_range(lows, highs), torch.cat(means).mean(dim=0).numpy()) if means else None


def _quantizer(low: float, high: float) -> Callable[[nn.Module, tuple[torch.Tensor]], torch.Tensor]:
    """Return a hook that clips and rounds a layer's input as its int8 tensor will be."""
    scale = max((high - low) / 255, 1e-8)
    zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))

    def hook(_: nn.Module, given: tuple[torch.Tensor]) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(given[0], scale, zero_point, -128, 127)

    return hook


def _calls(network: nn.Module, layer: nn.Module, db: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield input and output of a layer, batch by batch of windows."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = layer.register_forward_hook(lambda _, given, made: seen.append((given[0], made)))
    try:
        with torch.inference_mode():
            for batch in torch.split(db, _BATCH):
                network(batch)
                yield from seen
                seen.clear()
    finally:
        hook.remove()


def _moments(network: nn.Module, layer: nn.Conv2d | nn.Linear, db: torch.Tensor) -> tuple[_Float, _Float]:
    """Return mean [G, K] and covariance [G, K, K] of what each of a layer's G groups of weights is multiplied with."""
    total, products, count = torch.zeros(()), torch.zeros(()), 0
    for given, _ in _calls(network, layer, db):
        by_group = _patches(layer, given)
        total, products = total + by_group.sum(dim=2), products + by_group @ by_group.mT
        count += by_group.shape[2]
    mean = (total / count).numpy()
    return mean, (products / count).numpy() - mean[:, :, None] * mean[:, None, :]


def _patches(layer: nn.Conv2d | nn.Linear, given: torch.Tensor) -> torch.Tensor:
    """Return the inputs of a layer's weights, float64 [G, K, L]: one group for a dense layer."""
    if isinstance(layer, nn.Linear):
        return given.reshape(-1, layer.in_features).T[None].double()
    size, pad, stride, dilation = layer.kernel_size, layer.padding, layer.stride, layer.dilation
    patches = nn.functional.unfold(given, size, dilation, pad, stride).double()  # type: ignore[arg-type]
    return patches.reshape(len(patches), layer.groups, -1, patches.shape[2]).permute(1, 2, 0, 3).flatten(2)


@torch.no_grad()
def _round_layer(layer: nn.Conv2d | nn.Linear, mean: _Float, covariance: _Float, wanted: _Float) -> None:
    """Round a layer's weights in place; its bias makes the means of its outputs, [C_out], the wanted ones."""
    groups = len(mean)
    weights = layer.weight.double().numpy().reshape(groups, len(layer.weight) // groups, -1)
    steps = np.stack([_round_rows(rows, inputs) for rows, inputs in zip(weights, covariance, strict=True)])
    made = np.einsum("gok,gk->go", steps, mean).reshape(-1)
    layer.weight.copy_(torch.from_numpy(steps).float().reshape(layer.weight.shape))
    layer.bias = nn.Parameter(torch.from_numpy(wanted - made).float(), requires_grad=False)


def _round_rows(weights: _Float, covariance: _Float) -> _Float:
    """Return weights [O, K] on grids of 127 steps a side; inputs with the most variance are rounded first."""
    n_rows, K = weights.shape
    largest = np.abs(weights).argmax(axis=1)
    top = weights[np.arange(n_rows), largest]
    scale = np.maximum(np.abs(top) / _MAX_STEP, 1e-30)
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance + (_DAMPING * np.trace(covariance) / K + _LEAST_VARIANCE) * np.eye(K)
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left, rounded = weights[:, order], np.empty_like(weights)
    for place, column in enumerate(order):
        steps = np.clip(np.rint(left[:, place] / scale), -_MAX_STEP, _MAX_STEP)
        steps[largest == column] = (np.sign(top) * _MAX_STEP)[largest == column]
        rounded[:, column] = steps * scale
        error = (left[:, place] - rounded[:, column]) / upper[place, place]
        left[:, place + 1 :] -= error[:, None] * upper[place, place + 1 :]
    return rounded
