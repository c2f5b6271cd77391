"""A map of a library: embeddings in the plane, so that what sounds alike lies together."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

__all__ = ["map_tracks"]

_LEAST_FOR_UMAP = 50  # its neighborhoods of 15 need some tracks around them
_SEED = 0


def map_tracks(embeddings: npt.NDArray[np.float16]) -> tuple[npt.NDArray[np.float32], str]:
    """Return positions float32 [n, 2] from 0 to 1 and the name of the method, the same for the same embeddings.

    Parameters
    ----------
    embeddings
        float16 [n, D], finite. Their directions count, as in every comparison of tracks.
    """
    vectors = embeddings.astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if len(vectors) >= _LEAST_FOR_UMAP and find_spec("umap") is not None:
        return _scaled(_umap(vectors)), "UMAP"
    return _scaled(_pca(vectors)), "PCA"


def _pca(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    positions = np.zeros((len(vectors), 2), np.float32)
    n = min(2, *vectors.shape)
    if len(vectors) > 1 and vectors.std(axis=0).any():  # else all lie in one place
        positions[:, :n] = PCA(n, random_state=_SEED).fit_transform(vectors)
    return positions


def _umap(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, and of its own spectral start
        import umap

        reducer = umap.UMAP(n_components=2, n_neighbors=15, metric="cosine", random_state=_SEED, n_jobs=1)
        return np.asarray(reducer.fit_transform(vectors), np.float32)


def _scaled(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = positions.min(axis=0), positions.max(axis=0)
    scaled: npt.NDArray[np.float32] = (positions - low) / np.maximum(high - low, 1e-12)
    return scaled
