"""Rounding the first convolution's weights by what its input looks like.

The input's cells stand for 0 … 80 dB, so that a rounding error of a weight is multiplied by a level of some 40 dB:
rounding each weight to its nearest step makes this one layer lose more than all others together. Neighbouring
cells are alike, though, and errors of a kernel's weights can cancel: the steps are chosen so that the expected
square of the output's error is least, given the covariance of the input's patches, and the error's mean goes into
the bias. (The objective is that of Nagel et al., *Up or Down? Adaptive Rounding*, 2020, solved by coordinate
descent; the bias as in Nagel et al., *Data-Free Quantization*, 2019.)
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_runtime.quantised import dequantise

from .replay import INPUT_ZERO_POINT, input_scale_db

__all__ = ["round_first_convolution"]

_MAX_STEP = 127
_SCALES = 1 + np.arange(9) / 1000  # of the smallest scale that holds the largest weight
_Float = npt.NDArray[np.float64]


def round_first_convolution(network: nn.Module, cells: npt.NDArray[np.int8], top_db: int) -> nn.Module:
    """Return a copy of a network whose first convolution has weights on an int8 grid, one scale a channel.

    A quantiser that takes a channel's largest weight for its 127 finds exactly these steps.

    Parameters
    ----------
    network
        In eval mode. Without a convolution of one input channel it is returned as it is.
    cells
        int8 [N, n_mels, frames], calibration windows.
    top_db
        The spec's.
    """
    rounded = copy.deepcopy(network)
    first = next((m for m in rounded.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 1), None)
    if first is None:
        return network
    mean, covariance = _patch_moments(first, cells, top_db)
    weights = first.weight.detach().double().numpy().reshape(first.out_channels, -1)
    on_grid = np.stack([_round_channel(channel, covariance) for channel in weights])
    shift = torch.from_numpy((on_grid - weights) @ mean).float()
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(on_grid).float().reshape(first.weight.shape))
        first.bias = nn.Parameter((-shift if first.bias is None else first.bias - shift), requires_grad=False)
    return rounded


def _patch_moments(convolution: nn.Conv2d, cells: npt.NDArray[np.int8], top_db: int) -> tuple[_Float, _Float]:
    """Return mean [K] and covariance [K, K] of the patches under the kernel, in dB and dB²."""
    size, pad, stride = convolution.kernel_size, convolution.padding, convolution.stride
    total, products, count = 0.0, 0.0, 0
    for window in cells:
        db = torch.from_numpy(dequantise(window, input_scale_db(top_db), INPUT_ZERO_POINT))[None, None]
        patches = nn.functional.unfold(db, size, padding=pad, stride=stride)[0].double().numpy()  # type: ignore[arg-type]
        total, products, count = total + patches.sum(axis=1), products + patches @ patches.T, count + patches.shape[1]
    mean = np.asarray(total / count)
    return mean, np.asarray(products / count) - np.outer(mean, mean)


def _round_channel(weights: _Float, covariance: _Float) -> _Float:
    """Return weights [K] on a grid of 127 steps a side with the least expected square error."""
    largest = int(np.abs(weights).argmax())
    if weights[largest] == 0:
        return weights
    best, least = weights, np.inf
    for factor in _SCALES:
        scale = factor * np.abs(weights[largest]) / _MAX_STEP
        steps = np.clip(np.rint(weights / scale), -_MAX_STEP, _MAX_STEP)
        steps[largest] = np.sign(weights[largest]) * _MAX_STEP
        error = _descend(steps, weights, scale, largest, covariance)
        if error < least:
            best, least = steps * scale, error
    return best


def _descend(steps: _Float, weights: _Float, scale: float, fixed: int, covariance: _Float) -> float:
    """Move single steps and pairs of steps by one, in place, while the expected square error falls; return it."""
    K = len(weights)
    eye = np.eye(K)
    free = [i for i in range(K) if i != fixed]
    moves = [sign * eye[i] for i in free for sign in (1, -1)]
    moves += [eye[i] - eye[j] for i in free for j in free if i != j]
    moves_array = np.stack(moves)
    curvature = np.einsum("mi,ij,mj->m", moves_array, covariance, moves_array) * scale**2
    while True:
        gradient = covariance @ (steps * scale - weights)
        change = 2 * scale * (moves_array @ gradient) + curvature
        change[(np.abs(steps + moves_array) > _MAX_STEP).any(axis=1)] = np.inf
        pick = int(change.argmin())
        if change[pick] >= -1e-15:
            error = steps * scale - weights
            return float(error @ covariance @ error)
        steps += moves_array[pick]
