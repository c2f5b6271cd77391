"""The classical baseline: statistics of a track's log-mels and a support vector machine.

The features are mean and standard deviation over time of a track's levels and of their first differences
(``mel``), or of its cepstrum (``mfcc``), below the track's own maximum, so that gain has no effect.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edgegenre.data.feature_cache import FeatureCache
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend.decibels import DB_PER_Q9
from edgegenre_runtime.frontend.spec import TOP_DB

from .metrics.single_label import Metrics, measure

__all__ = ["COSTS", "GAMMAS", "KINDS", "BaselineResult", "run_baseline", "track_statistics"]

COSTS = (0.3, 1.0, 3.0, 10.0, 30.0)
GAMMAS = (0.1, 0.3, 1.0, 3.0)
"""Times one over the number of features (standardized, so that 1.0 is scikit-learn's ``"scale"``)."""
KINDS = ("mel", "mfcc")

_N_MFCC = 20


@dataclasses.dataclass(frozen=True, slots=True)
class BaselineResult:
    """The chosen support vector machine and its metrics.

    Attributes
    ----------
    kind, cost, gamma
        Features, C, and gamma in units of one over the number of features.
    valid_accuracy
        Validation accuracy, by which cost and gamma were chosen.
    test
        Metrics on the test tracks; the calibration of a machine without probabilities has no meaning.
    """

    kind: str
    cost: float
    gamma: float
    valid_accuracy: float
    test: Metrics


def run_baseline(cache: FeatureCache, kind: str = "mel") -> BaselineResult:
    """Fit on the training tracks, choose C and gamma on the validation tracks, and measure once on the test.

    The machine is fitted on the training tracks alone.

    Raises
    ------
    UsageError
        An unknown kind of features.
    DataError
        A part without tracks, or fewer than two classes to train on.
    """
    if kind not in KINDS:
        raise UsageError(f"baseline features {kind!r} are unknown; there are: {', '.join(KINDS)}")
    parts = {part: cache.tracks_of(part) for part in ("train", "valid", "test")}
    empty = [part for part, tracks in parts.items() if not len(tracks)]
    if empty:
        raise DataError(f"the cache has no tracks for {', '.join(empty)}: split the data set first")
    cache.require_single("the baseline")
    if len(np.unique(cache.y[parts["train"]])) < 2:
        raise DataError("the training tracks are all of one class; a baseline needs two")
    x = {part: np.stack([track_statistics(cache, int(i), kind) for i in tracks]) for part, tracks in parts.items()}
    y = {part: cache.y[tracks] for part, tracks in parts.items()}

    def accuracy(machine: Any) -> float:
        return float((machine.predict(x["valid"]) == y["valid"]).mean())

    fits = [(_machine(c, g, x["train"].shape[1]).fit(x["train"], y["train"]), c, g) for c in COSTS for g in GAMMAS]
    machine, cost, gamma = max(fits, key=lambda fit: accuracy(fit[0]))  # the first among equals: the smallest cost
    answers = machine.predict(x["test"])
    certain = np.eye(len(cache.labels), dtype=np.float32)[answers]
    return BaselineResult(kind, cost, gamma, accuracy(machine), measure(certain, y["test"], cache.labels))


def track_statistics(cache: FeatureCache, track: int, kind: str) -> npt.NDArray[np.float64]:
    """Return the features of a track, float64 [4 n]: mean and deviation of levels in dB, then of differences.

    ``n`` is the number of mel bands, or 20 cepstral coefficients (orthonormal DCT-II of the levels).
    """
    frames = cache.track(track).astype(np.float64) * DB_PER_Q9
    levels = np.maximum(frames - frames.max(), -TOP_DB)
    if kind == "mfcc":
        levels = scipy.fft.dct(levels, norm="ortho", axis=0)[:_N_MFCC]
    steps = np.diff(levels, axis=1) if levels.shape[1] > 1 else np.zeros_like(levels)
    return np.concatenate([levels.mean(1), levels.std(1), steps.mean(1), steps.std(1)])


def _machine(cost: float, gamma: float, n_features: int) -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(C=cost, gamma=gamma / n_features))
