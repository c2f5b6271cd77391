"""Networks over an image of one channel as converters write them: shifted copies, slices, wide and high kernels."""

from __future__ import annotations

import numpy as np
from tflite_maker import NONE, RELU, RELU6, SAME, VALID, Maker


def random_network_columns(seed):
    """Return a network whose branches see high, wide and dilated windows of one image, and the shape of its input."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(20, 45, 2))
    maker = Maker((1, height, width, 1), rng)
    at = maker.input
    if rng.random() < 0.7:
        at = maker.depthwise(at, (1, 1), activation=NONE) if rng.random() < 0.5 else maker.times(at)
    n_columns, edge = int(rng.integers(2, 9)), int(rng.integers(0, 20))
    padded = maker.pad(at, ((0, 0), (0, 0), (edge, edge + 1), (0, 0)))
    copies = maker.shifted(padded, n_columns)
    branches = [_branch(maker, copies, n_columns, rng) for _ in range(int(rng.integers(1, 4)))]
    branches += [_other(maker, at, rng)]
    scale, zero = maker.quantization(branches[0])
    joined = maker.concatenate([maker.new_scale(i, scale, zero) for i in branches], 1)
    return maker.finish(maker.dense(joined, 5)), maker.shapes[maker.input]


def _branch(maker, copies, n_columns, rng):
    """A slice of the copies, or all of them; a convolution whose taps keep apart; the largest answer of each column."""
    _, height, width, _ = maker.shapes[copies]
    at = copies
    if rng.random() < 0.7:
        first = int(rng.integers(0, width // 3))
        size = width - first - int(rng.integers(0, width // 3))
        at, width = maker.slice(copies, (0, 0, first, 0), (1, height, size, n_columns)), size
    n_taps = int(rng.integers(1, max(2, min(4, (width - 1) // n_columns))))
    n_rows, n_out = int(rng.choice([1, 2, 17, 20])), int(rng.choice([1, 3, 8, 17]))
    activation = NONE if rng.random() < 0.3 else RELU
    at = maker.conv(at, n_out, (n_rows, n_taps), padding=VALID, activation=activation, dilation=(1, n_columns))
    rows = maker.shapes[at][1]
    size, stride = (rows, rows) if rng.random() < 0.7 else (min(rows, 5), int(rng.integers(1, 7)))
    at = maker.pool("MAX_POOL_2D", at, (size, 1), (stride, 1), padding=SAME if rng.random() < 0.3 else VALID)
    at = maker.times(at) if rng.random() < 0.4 else maker.depthwise(at, (1, 1), activation=NONE)
    return _peak(maker, at)


def _other(maker, at, rng):
    """Dilated layers and slices of the image itself."""
    at = maker.conv(at, 8, (3, 3), dilation=(int(rng.integers(1, 4)), int(rng.integers(1, 4))), activation=RELU6)
    _, height, width, _ = maker.shapes[at]
    at = maker.slice(at, (0, 1, 2, 3), (1, height - 4, width - 2, 4))
    at = maker.depthwise(at, (2, 3), dilation=(2, int(rng.integers(1, 3))), padding=SAME)
    return _peak(maker, maker.pool("MAX_POOL_2D", at, (3, 2), (int(rng.integers(1, 5)), 2)))


def _peak(maker, at):
    _, height, width, n_channels = maker.shapes[at]
    return maker.reshape(maker.pool("MAX_POOL_2D", at, (height, width), (1, 1)), (1, n_channels))
