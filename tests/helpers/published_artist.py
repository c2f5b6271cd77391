"""A file like the published artist network's, with random weights."""

import numpy as np


def write_published(path):
    """Write ``w1 … w5``, ``b1 …`` and ``n1 …`` as the published file has them; return the path."""
    rng, arrays = np.random.default_rng(0), {}
    n_in = 128
    for i, (n_out, kernel) in enumerate(((128, 4), (128, 4), (128, 4), (128, 2), (256, 1)), 1):
        arrays[f"w{i}"] = rng.normal(0, 0.1, (n_out, n_in, kernel)).astype(np.float32)
        arrays[f"b{i}"] = rng.normal(0, 0.1, n_out).astype(np.float32)
        arrays[f"n{i}"] = rng.uniform(0.5, 1.5, (4, n_out)).astype(np.float32)
        n_in = n_out
    np.savez(path, **arrays)
    return path
