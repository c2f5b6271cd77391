"""Features of tracks in a file, so that a second look at the same networks and tracks takes no minutes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import read_npz

__all__ = ["kept_features"]


def kept_features(
    path: Path,
    cache: FeatureCache,
    networks: Sequence[tuple[str, Path, float]],
    compute: Callable[[], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Return the features that the file holds, or compute and write them, float32 [n_tracks, D].

    Parameters
    ----------
    path
        The file.
    cache, networks
        What the features are of; their hash stands in the file.
    compute
        Called where there is no file.

    Raises
    ------
    DataError
        If the file is of other tracks or networks, damaged, or cannot be written.
    """
    key = _key(cache, networks)
    if os.path.exists(path):
        try:
            arrays = read_npz(path, ("key", "features"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no file of features, or damaged: delete it") from error
        features = arrays["features"]
        if str(arrays["key"]) != key or features.dtype != np.float32 or len(features) != len(cache.names):
            raise DataError(f"{path}: holds features of other tracks or networks: name another file, or delete it")
        return features
    features = compute()
    with written_beside(path) as handle:
        np.savez(handle, key=np.array(key), features=features)
    return features


def _key(cache: FeatureCache, networks: Sequence[tuple[str, Path, float]]) -> str:
    digest = hashlib.sha256(cache.spec_hash.encode())
    digest.update(np.ascontiguousarray(cache.frames[:, :: max(cache.frames.shape[1] // 1000, 1)]).tobytes())
    digest.update(repr(cache.names).encode())
    for name, weights, share in networks:
        digest.update(f"{name} {share} {hashlib.sha256(weights.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()
