"""Networks of 1-D convolutions over time with the mel bands as channels, in the operators that litert-torch writes."""

from __future__ import annotations

import numpy as np
from tflite_maker import NONE, RELU, VALID, Maker


def random_network_1d(seed):
    """Return a network whose head sees mean and maximum over time of every layer, and the shape of its input."""
    rng = np.random.default_rng(seed)
    bands, frames = int(rng.choice([8, 12, 16, 40, 128])), int(rng.choice([8, 20, 33, 64]))
    maker = Maker((1, bands, frames, 1), rng)
    at = maker.transpose(maker.reshape(maker.input, (1, bands, 1, frames)), (0, 3, 2, 1))
    at = maker.reshape(at, (1, 1, frames, bands))
    if rng.random() < 0.7:
        at = maker.depthwise(at, (1, 1), multiplier=int(rng.integers(1, 4)), activation=RELU)
    means, peaks = [], []
    for _ in range(int(rng.integers(1, 5))):
        size, pool = int(rng.integers(1, 6)), int(rng.choice([1, 2, 4]))
        at = _padded_conv(maker, at, int(rng.choice([8, 12, 24, 40])), size)
        frames = maker.shapes[at][2]
        if frames >= pool:
            at = maker.pool("MAX_POOL_2D", at, (1, pool), (1, pool))
        turned = maker.transpose(at, (0, 3, 1, 2))
        means.append(maker.reduce("SUM" if maker.shapes[at][2] == 1 else "MEAN", turned, (2, 3)))
        peaks.append(_peak(maker, at, rng))
    scale, zero = maker.quantization(means[0])
    joined = maker.concatenate([maker.new_scale(i, scale, zero) for i in means + peaks], 1)
    return maker.finish(maker.dense(joined, 5)), maker.shapes[maker.input]


def _padded_conv(maker, at, n_out, size):
    """Pad channels first, as torch does, turn back and convolve."""
    turned = maker.transpose(at, (0, 3, 1, 2))
    padded = maker.pad(turned, ((0, 0), (0, 0), (0, 0), ((size - 1) // 2, size // 2)))
    return maker.conv(maker.transpose(padded, (0, 2, 3, 1)), n_out, (1, size), padding=VALID, activation=RELU)


def _peak(maker, at, rng):
    if rng.random() < 0.5:
        return maker.reduce("REDUCE_MAX", maker.transpose(at, (0, 3, 1, 2)), (2, 3))
    frames, channels = maker.shapes[at][2:]
    peak = maker.pool("MAX_POOL_2D", at, (1, frames), (1, frames), activation=NONE)
    return maker.reshape(peak, (1, channels))
