"""Rounding weights to int8 by what their inputs look like, layer after layer.

Rounding each weight to its nearest step makes errors that add up over a layer's inputs and on through the network.
Inputs are alike, though (neighbouring cells, channels of one origin), and errors can cancel: a weight's error is made
up for by the weights that are not yet rounded, as the covariance of the layer's inputs tells (Frantar et al., *GPTQ*,
2023, which is Hassibi & Stork's *Optimal Brain Surgeon* in a fixed order). What is left of the error's mean goes into
the bias (Nagel et al., *Data-Free Quantization*, 2019). Inputs are those of the network as rounded so far, and means
are held to the network as trained.

Both exporters find exactly these steps, because the largest weight of a channel stays the largest: it is what they take
for 127.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_runtime.quantised import dequantise

from .replay import INPUT_ZERO_POINT, input_scale_db

__all__ = ["round_weights"]

_MAX_STEP = 127
_DAMPING = 0.01  # of the mean variance, so that inputs that never vary don't make the covariance singular
_LEAST_VARIANCE = 1e-9
_WINDOWS = 64
_BATCH = 16
_Float = npt.NDArray[np.float64]


def round_weights(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
    """Return a copy of a network whose convolutions have weights on an int8 grid, one scale a channel.

    Parameters
    ----------
    network
        In eval mode. Layers other than :class:`torch.nn.Conv2d` with zero padding stay as they are.
    cells
        int8 [N, n_mels, frames], calibration windows, of which some 64, evenly spread, are used.
    top_db
        The spec's.
    """
    rounded = copy.deepcopy(network)
    trained = dict(network.named_modules())
    chosen = cells[:: max(1, len(cells) // _WINDOWS)]
    db = torch.from_numpy(dequantise(chosen, input_scale_db(top_db), INPUT_ZERO_POINT))[:, None]
    for name, layer in list(rounded.named_modules()):
        if not isinstance(layer, nn.Conv2d) or isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            continue
        outputs = [made.double().mean(dim=(2, 3)) for _, made in _calls(network, trained[name], db)]
        if outputs:  # a layer that the network never calls has no inputs to go by
            _round_layer(layer, *_moments(rounded, layer, db), torch.cat(outputs).mean(dim=0).numpy())
    return rounded


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


def _moments(network: nn.Module, layer: nn.Conv2d, db: torch.Tensor) -> tuple[_Float, _Float]:
    """Return mean [G, K] and covariance [G, K, K] of the patches under the kernels of each of a layer's G groups."""
    total, products, count = torch.zeros(()), torch.zeros(()), 0
    size, pad, stride, dilation = layer.kernel_size, layer.padding, layer.stride, layer.dilation
    for given, _ in _calls(network, layer, db):
        patches = nn.functional.unfold(given, size, dilation, pad, stride).double()  # type: ignore[arg-type]
        by_group = patches.reshape(len(patches), layer.groups, -1, patches.shape[2]).permute(1, 2, 0, 3).flatten(2)
        total, products = total + by_group.sum(dim=2), products + by_group @ by_group.mT
        count += by_group.shape[2]
    mean = (total / count).numpy()
    return mean, (products / count).numpy() - mean[:, :, None] * mean[:, None, :]


@torch.no_grad()
def _round_layer(layer: nn.Conv2d, mean: _Float, covariance: _Float, wanted: _Float) -> None:
    """Round a layer's weights in place; its bias makes the means of its outputs, [C_out], the wanted ones."""
    weights = layer.weight.double().numpy().reshape(layer.groups, layer.out_channels // layer.groups, -1)
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
