"""A data set of three kinds of noise that takes no time, for tests of the trainer's machinery."""

import numpy as np

from edgegenre.data.feature_cache import FeatureCache
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


def tiny_cache(n_tracks=12, n_frames=150, seed=0):
    """Return three classes, told apart by the band that is loudest; a third of the tracks each for one part."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_tracks) % 3
    frames = rng.integers(3000, 6000, (128, n_tracks, n_frames))
    for track, label in enumerate(y):
        frames[20 + 30 * label : 30 + 30 * label, track] += 4000
    return FeatureCache(
        frames=frames.reshape(128, -1).astype(np.int16),
        offsets=np.arange(n_tracks + 1, dtype=np.int64) * n_frames,
        y=y.astype(np.int64),
        labels=("high", "low", "middle"),
        names=tuple(f"{i}.wav" for i in range(n_tracks)),
        groups=tuple(str(i) for i in range(n_tracks)),
        split=((np.arange(n_tracks) // 3) % 2).astype(np.uint8),
        spec=TABLES.spec,
        spec_hash=TABLES.spec_hash,
    )
