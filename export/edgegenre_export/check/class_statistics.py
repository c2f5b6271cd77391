"""Where the classes of an int8 network lie: what a device needs to learn further genres beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.personal.class_statistics import ClassStatistics, unit

__all__ = ["measure_statistics"]

_AXES = 32
_SHRINKAGE = 0.3
_LEAST_DEVIATION = 1e-6

_Floats = npt.NDArray[np.float64]


def measure_statistics(
    tracks: Sequence[npt.NDArray[np.float32]], truth: npt.NDArray[np.int64], n_classes: int
) -> ClassStatistics | None:
    """Return the statistics of training tracks; None if a class has fewer than two, or all are alike.

    The axes are the principal components of the standardized track means, at most 32, turned and scaled so that the
    covariance of windows within their class, shrunk by 0.3 toward a multiple of the identity (Ledoit and Wolf, 2004),
    becomes the identity. Number of axes and shrinkage were chosen on GTZAN's validation tracks (docs/learn.md).

    Parameters
    ----------
    tracks
        Embeddings of each track's windows, float32 [n, D].
    truth
        Class of each track, int64.
    n_classes
        How many classes there are.
    """
    if np.bincount(truth, minlength=n_classes).min() < 2:
        return None
    means = np.stack([vectors.mean(axis=0, dtype=np.float64) for vectors in tracks])
    middle, deviation = means.mean(axis=0), means.std(axis=0) + _LEAST_DEVIATION
    n_axes = min(_AXES, len(means) - n_classes, means.shape[1])
    standardized = (means - middle) / deviation
    components = np.linalg.svd(standardized, full_matrices=False)[2][:n_axes].T
    shown = [(vectors.astype(np.float64) - middle) / deviation @ components for vectors in tracks]
    of_class = _class_means(np.stack([part.mean(axis=0) for part in shown]), truth, n_classes)
    within = np.concatenate([part - of_class[label] for part, label in zip(shown, truth, strict=True)])
    covariance = within.T @ within / len(within)
    mean_variance = np.trace(covariance) / n_axes
    if not mean_variance > 0:
        return None
    values, vectors = np.linalg.eigh((1 - _SHRINKAGE) * covariance + _SHRINKAGE * mean_variance * np.eye(n_axes))
    origin = of_class.mean(axis=0)
    statistics = ClassStatistics(
        center=(middle + deviation * (components @ origin)).astype(np.float32),
        axes=(components / deviation[:, None] @ (vectors / np.sqrt(values))).astype(np.float32),
        means=np.zeros((n_classes, n_axes), np.float32),
    )
    directions = np.stack([statistics.directions(part).mean(axis=0) for part in tracks])
    of_class = _class_means(directions, truth, n_classes)
    return ClassStatistics(statistics.center, statistics.axes, unit(of_class.astype(np.float32)))


def _class_means(rows: npt.NDArray[np.floating], truth: npt.NDArray[np.int64], n_classes: int) -> _Floats:
    return np.stack([rows[truth == label].mean(axis=0, dtype=np.float64) for label in range(n_classes)])
