"""A file like the published musicnn's, with random weights."""

import numpy as np


def write_published_musicnn(path):
    """Write ``conv2d.0`` … ``dense_1.1`` as the published file has them; return the path."""
    rng, arrays = np.random.default_rng(0), {}

    def norm(name, n):
        gamma = rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n)  # of either sign, as theirs
        values = (gamma, rng.normal(0, 0.1, n), rng.normal(0.5, 0.1, n), rng.uniform(0.5, 1.5, n))
        arrays.update({f"{name}.{i}": value.astype(np.float32) for i, value in enumerate(values)})

    def weights(name, shape, n):
        arrays[f"{name}.0"] = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        arrays[f"{name}.1"] = rng.normal(0, 0.1, n).astype(np.float32)

    norm("batch_normalization", 1)
    for i, (n, frames, bands) in enumerate(((204, 7, 38), (204, 7, 67), (51, 128, 1), (51, 64, 1), (51, 32, 1))):
        weights(f"conv2d_{i}" if i else "conv2d", (n, 1, frames, bands), n)
        norm(f"batch_normalization_{i + 1}", n)
    for i, n_in in enumerate((561, 64, 64), 1):
        weights(f"midend_conv{i}", (64, 1, 7, n_in), 64)
        norm(f"bn_midend_conv{i}", 64)
    norm("bn_flatpool", 1506)
    answering = ((22, 0), (14, 0), (2, 1), (6, 0), (17, 0))  # channels of each first layer, of gamma above and below 0
    variance, first = arrays["bn_flatpool.3"], 0
    for i, (n_up, n_down) in enumerate(answering, 1):
        gamma, mean = arrays[f"batch_normalization_{i}.0"], arrays[f"batch_normalization_{i}.2"]
        kept = np.concatenate([np.flatnonzero(gamma > 0)[:n_up], np.flatnonzero(gamma < 0)[:n_down]])
        silent = np.setdiff1d(np.arange(len(gamma)), kept)
        arrays[f"conv2d_{i - 1}.1" if i > 1 else "conv2d.1"][silent] = -1e6  # behind the ReLU always 0
        gamma[silent], mean[silent] = 0, 0
        arrays[f"batch_normalization_{i}.1"][silent] = 0
        at = 2 * (first + silent)
        for place in (at, at + 1):
            variance[place], arrays["bn_flatpool.2"][place] = 1e-24, 0
        first += len(gamma)
    weights("dense", (1506, 200), 200)
    norm("bn_dense", 200)
    weights("dense_1", (200, 50), 50)
    np.savez(path, **arrays)
    return path
