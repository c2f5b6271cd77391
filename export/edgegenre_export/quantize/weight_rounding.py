"""Rounding weights to int8 by what their inputs look like, layer after layer.

Rounding each weight to its nearest step causes errors that add up over a layer's inputs and through the network.
Inputs are correlated, though (neighboring cells, channels of one origin), and errors can cancel: the weights that are
not yet rounded compensate a weight's error, according to the covariance of the layer's inputs (Frantar et al., *GPTQ*,
2023, which is Hassibi & Stork's *Optimal Brain Surgeon* in a fixed order). What is left of the error's mean goes into
the bias (Nagel et al., *Data-Free Quantization*, 2019). Inputs are those of the network as rounded so far, clipped and
rounded to their own int8 steps (:mod:`edgegenre_export.activation_range`), and means are held to the network as
trained.

Both exporters find exactly these steps, because the largest weight of a channel stays the largest: it is what they take
for 127.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.evaluate.scoring import network_input
from edgegenre_export.activation_range import activation_range

__all__ = ["RoundedNetwork", "round_inputs", "round_weights"]

_MAX_STEP = 127
_DAMPING = 0.01  # of the mean variance, so that inputs that never vary don't make the covariance singular
_MIN_VARIANCE = 1e-9
_WINDOWS = 64
_BATCH = 16
_Float = npt.NDArray[np.float64]
_Layer = nn.Conv2d | nn.Linear
_Hook = Callable[[nn.Module, tuple[torch.Tensor]], torch.Tensor]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RoundedNetwork:
    """A network whose layers have weights on an int8 grid.

    Attributes
    ----------
    module
        The network, in eval mode.
    input_ranges
        Range of each rounded layer's input, by the layer's path.
    """

    module: nn.Module
    input_ranges: Mapping[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Observed:
    """Inputs and outputs of a layer of the trained network.

    ``input_range`` spans every call of the layer; ``output_means`` float64 [C_out] are those of its first call.
    """

    input_range: tuple[float, float]
    output_means: _Float


def round_weights(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> RoundedNetwork:
    """Return a copy of a network whose layers have weights on an int8 grid, one scale per channel.

    The copy runs once over the windows, and each layer is rounded when they reach it.

    Parameters
    ----------
    network
        In eval mode. Convolutions with zero padding and dense layers are rounded, others stay as they are; a layer
        that is called several times is rounded by the input of its first call.
    cells
        int8 [N, n_mels, frames], calibration windows, of which some 64, evenly spread, are used.
    top_db
        The spec's.
    """
    rounded = copy.deepcopy(network)
    db = network_input(cells[:: max(1, len(cells) // _WINDOWS)], top_db)
    observed = _observe(network, db)
    layers = {name: layer for name, layer in rounded.named_modules() if name in observed and _is_rounded(layer)}
    hooks = [layer.register_forward_pre_hook(_rounding_hook(observed[name])) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            rounded(db)
    finally:
        for hook in hooks:
            hook.remove()
    return RoundedNetwork(rounded, {name: observed[name].input_range for name in layers})


def round_inputs(low: float, high: float) -> _Hook:
    """Return a forward pre-hook that clips and rounds a layer's input as its int8 tensor will be."""
    scale = max((high - low) / 255, 1e-8)
    zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))

    def hook(_: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(inputs[0], scale, zero_point, -128, 127)

    return hook


def _is_rounded(layer: nn.Module) -> TypeGuard[nn.Conv2d | nn.Linear]:
    if isinstance(layer, nn.Conv2d):
        return not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
    return isinstance(layer, nn.Linear)


def _observe(network: nn.Module, db: torch.Tensor) -> dict[str, _Observed]:
    """Run a network once; returns inputs and outputs of its layers, by path, without those it never calls."""
    extremes: dict[str, tuple[list[float], list[float]]] = {}
    means: dict[str, _Float] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            lows, highs = extremes.setdefault(name, ([], []))
            lows += inputs[0].flatten(1).amin(dim=1).tolist()
            highs += inputs[0].flatten(1).amax(dim=1).tolist()
            is_image = isinstance(layer, nn.Conv2d)
            by_channel = output.flatten(2).mean(dim=2) if is_image else output.reshape(-1, output.shape[-1])
            means.setdefault(name, by_channel.double().mean(dim=0).numpy())

        return hook

    hooks = [m.register_forward_hook(watch(name)) for name, m in network.named_modules() if _is_rounded(m)]
    try:
        with torch.inference_mode():
            network(db)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _Observed(activation_range(*ends), means[name]) for name, ends in extremes.items()}


def _rounding_hook(observed: _Observed) -> _Hook:
    """Return a forward pre-hook that rounds a layer's input, and at the first call the layer's weights."""
    round_input = round_inputs(*observed.input_range)
    is_done = False

    def hook(layer: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        nonlocal is_done
        steps = round_input(layer, inputs)
        if not is_done and _is_rounded(layer):
            _round_layer(layer, *_moments(layer, steps), observed.output_means)
            is_done = True
        return steps

    return hook


def _moments(layer: _Layer, inputs: torch.Tensor) -> tuple[_Float, _Float]:
    """Return mean [G, K] and covariance [G, K, K] of what each of a layer's G groups of weights is multiplied with."""
    total, products, count = torch.zeros(()), torch.zeros(()), 0
    for batch in torch.split(inputs, _BATCH):
        by_group = _patches(layer, batch)
        total, products = total + by_group.sum(dim=2), products + by_group @ by_group.mT
        count += by_group.shape[2]
    mean = (total / count).numpy()
    return mean, (products / count).numpy() - mean[:, :, None] * mean[:, None, :]


def _patches(layer: _Layer, inputs: torch.Tensor) -> torch.Tensor:
    """Return the inputs of a layer's weights, float64 [G, K, L]: one group for a dense layer.

    They are arranged in float32, which moves half of the bytes.
    """
    if isinstance(layer, nn.Linear):
        return inputs.reshape(-1, layer.in_features).T[None].double()
    size, pad, stride, dilation = layer.kernel_size, layer.padding, layer.stride, layer.dilation
    patches = nn.functional.unfold(inputs, size, dilation, pad, stride)  # type: ignore[arg-type]
    by_group = patches.reshape(len(patches), layer.groups, -1, patches.shape[2]).permute(1, 2, 0, 3)
    return by_group.flatten(2).double()


def _round_layer(layer: _Layer, mean: _Float, covariance: _Float, wanted: _Float) -> None:
    """Round a layer's weights in place; its bias corrects the means of its outputs to the wanted ones, [C_out]."""
    groups = len(mean)
    weights = layer.weight.double().numpy().reshape(groups, len(layer.weight) // groups, -1)
    steps = np.stack([_round_rows(rows, inputs) for rows, inputs in zip(weights, covariance, strict=True)])
    rounded_means = np.einsum("gok,gk->go", steps, mean).reshape(-1)
    layer.weight.copy_(torch.from_numpy(steps).float().reshape(layer.weight.shape))
    layer.bias = nn.Parameter(torch.from_numpy(wanted - rounded_means).float(), requires_grad=False)


def _round_rows(weights: _Float, covariance: _Float) -> _Float:
    """Return weights [O, K] on grids of 127 steps a side; inputs with the most variance are rounded first."""
    n_rows, K = weights.shape
    largest = np.abs(weights).argmax(axis=1)
    top = weights[np.arange(n_rows), largest]
    scale = np.maximum(np.abs(top) / _MAX_STEP, 1e-30)
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance + (_DAMPING * np.trace(covariance) / K + _MIN_VARIANCE) * np.eye(K)
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left, rounded = weights[:, order], np.empty_like(weights)
    for place, column in enumerate(order):
        steps = np.clip(np.rint(left[:, place] / scale), -_MAX_STEP, _MAX_STEP)
        steps[largest == column] = (np.sign(top) * _MAX_STEP)[largest == column]
        rounded[:, column] = steps * scale
        error = (left[:, place] - rounded[:, column]) / upper[place, place]
        left[:, place + 1 :] -= error[:, None] * upper[place, place + 1 :]
    return rounded
