"""A teacher of frozen features: a strongly regularized regression, asked about no track that it was fitted on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.models import ModelConfig, build
from edgegenre.pretrained import load_weights
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables

from .features import Equalizer, frozen_features
from .soft_labels import SoftLabels

__all__ = ["Answers", "ask", "fit_regression", "out_of_fold", "regress", "regress_from"]

_FOLDS = 5

Features = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Soft labels, and how often they are right: on training tracks (out of fold) and on validation tracks."""

    soft: SoftLabels
    train_accuracy: float
    valid_accuracy: float


def ask(
    cache: FeatureCache,
    others: Sequence[FeatureCache],
    tables: Tables,
    networks: Sequence[tuple[str, Path, float]],
    inverse_penalty: float,
    command: str,
    progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Make the soft labels of a data set and of tracks without labels.

    Parameters
    ----------
    cache
        The data set, with a split.
    others
        Caches of tracks without labels, of the same front-end.
    tables
        That front-end.
    networks
        Model, file of its weights, and how far the tracks are equalized for it (0: not at all); their features are
        joined.
    inverse_penalty
        See :func:`fit_regression`.
    command
        What the user typed, for the record.
    progress
        Called with the tracks done and the tracks in all, network by network.

    Raises
    ------
    DataError
        If there is no training or validation track.
    """
    train, valid = cache.tracks_of("train"), cache.tracks_of("valid")
    if not len(train) or not len(valid):
        raise DataError("soft labels need training and validation tracks: split the data set first")
    for one in (cache, *others):
        one.require_single("training on soft labels")
    joined: list[list[Features]] = [[] for _ in (cache, *others)]
    for name, weights, share in networks:
        network = build(ModelConfig(name, len(cache.labels)))
        load_weights(network, weights)
        equalizer = Equalizer(cache, train, share) if share else None
        for rows, one in zip(joined, (cache, *others), strict=True):
            rows.append(frozen_features(network, one, tables, equalizer, progress))
    features = [np.concatenate(rows, axis=1) for rows in joined]
    y, groups = cache.y[train], np.array(cache.groups)[train]
    asked = np.concatenate(features)
    probabilities = regress(features[0][train], y, asked, inverse_penalty)
    probabilities[train] = out_of_fold(features[0][train], y, groups, inverse_penalty)
    hits = probabilities[: len(cache.y)].argmax(axis=1) == cache.y
    about = {"command": command, "networks": [[name, weights.name, share] for name, weights, share in networks]}
    names = tuple(name for one in (cache, *others) for name in one.names)
    soft = SoftLabels(cache.labels, names, probabilities, about)
    return Answers(soft, float(hits[train].mean()), float(hits[valid].mean()))


def fit_regression(train: Features, y: npt.NDArray[np.int64], inverse_penalty: float) -> Any:
    """Return scikit-learn's pipeline of a scaler and a multinomial regression, fitted.

    Parameters
    ----------
    train
        float32 [n, D].
    y
        int64 [n], every class 0 … C - 1 at least once; classes weigh the same.
    inverse_penalty
        scikit-learn's ``C``: 0.001 for a thousand features of a few hundred tracks.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=inverse_penalty, max_iter=300, class_weight="balanced")
    return make_pipeline(StandardScaler(), regression).fit(train, y)


def regress_from(
    start: npt.NDArray[np.float64],
    standardized: npt.NDArray[np.float64],
    y: npt.NDArray[np.int64],
    inverse_penalty: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return weights float64 [C, D] and biases float64 [C] of a regression that is penalized for leaving ``start``.

    As :func:`fit_regression`, where the penalty is the squared distance from 0: a normal prior with another mean.

    Parameters
    ----------
    start
        float64 [C, D], weights that need no track.
    standardized
        float64 [n, D], of mean 0 and deviation 1.
    y, inverse_penalty
        As for :func:`fit_regression`.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    n_classes, n_features = start.shape
    wanted = np.eye(n_classes)[y]
    rows = (len(y) / (n_classes * np.bincount(y, minlength=n_classes)))[y]  # classes weigh the same

    def loss(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = values[:-n_classes].reshape(start.shape), values[-n_classes:]
        log_p = log_softmax(standardized @ weight.T + bias, axis=1)
        left = weight - start
        errors = inverse_penalty * rows[:, None] * (np.exp(log_p) - wanted)
        total = (left**2).sum() / 2 - inverse_penalty * (rows * (wanted * log_p).sum(axis=1)).sum()
        return float(total), np.append(left + errors.T @ standardized, errors.sum(axis=0))

    found = minimize(loss, np.append(start, np.zeros(n_classes)), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-n_classes].reshape(n_classes, n_features), found.x[-n_classes:]


def regress(train: Features, y: npt.NDArray[np.int64], asked: Features, inverse_penalty: float) -> Probabilities:
    """Return the probabilities float32 [m, C] of tracks [m, D] by :func:`fit_regression`."""
    return np.asarray(fit_regression(train, y, inverse_penalty).predict_proba(asked), np.float32)


def out_of_fold(
    features: Features, y: npt.NDArray[np.int64], groups: npt.NDArray[np.str_], inverse_penalty: float, seed: int = 0
) -> Probabilities:
    """Return probabilities float32 [n, C] of tracks by regressions fitted on tracks of other groups (artists)."""
    from sklearn.model_selection import StratifiedGroupKFold

    found = np.zeros((len(y), int(y.max()) + 1), np.float32)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(features, y, groups)
    for fitted, asked in folds:
        found[asked] = regress(features[fitted], y[fitted], features[asked], inverse_penalty)
    return found
