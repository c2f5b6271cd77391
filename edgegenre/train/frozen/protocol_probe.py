"""Frozen networks under a protocol: their joined features once, and one regression a split, with a fixed recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.metrics.wilson import wilson_interval
from edgegenre.gtzan.protocols import FOLDS, assign_protocol
from edgegenre.models import ModelConfig, build
from edgegenre.pretrained import load_weights
from edgegenre_runtime.frontend import Tables

from .feature_teacher import regress
from .features import Equalizer, frozen_features

__all__ = ["ProbeResult", "joined_features", "probe"]


@dataclasses.dataclass(frozen=True, slots=True)
class ProbeResult:
    """Test accuracy of every split (a seed of ``random``, a fold of ``kfold10``), and its number of tracks."""

    accuracies: tuple[float, ...]
    n_tracks: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean over the splits."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation over the splits; 0 of one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0

    def describe(self) -> str:
        """Return mean and spread, or the one accuracy with its 95 % interval."""
        if len(self.accuracies) > 1:
            each = ", ".join(f"{accuracy:.3f}" for accuracy in self.accuracies)
            return f"test {self.mean:.4f} ± {self.spread:.4f} over {len(self.accuracies)} splits ({each})"
        n = self.n_tracks[0]
        low, high = wilson_interval(round(self.mean * n), n)
        return f"test {self.mean:.4f} of {n} tracks (95 % interval {low:.3f} to {high:.3f})"


def joined_features(
    cache: FeatureCache,
    tables: Tables,
    networks: Sequence[tuple[str, Path, float]],
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the features of every track by several frozen networks, joined, float32 [n_tracks, D].

    Parameters
    ----------
    cache, tables
        The tracks and their front-end.
    networks
        Model, file of its weights, and how far the tracks are equalized for it (0: not at all), towards the mean
        spectrum of all tracks, so that features are of no split; no label enters it.
    progress
        Called with the tracks done and the tracks in all, network by network.
    """
    everything = np.arange(len(cache.names), dtype=np.int64)
    rows = []
    for name, weights, share in networks:
        network = build(ModelConfig(name, len(cache.labels)))
        load_weights(network, weights)
        equalizer = Equalizer(cache, everything, share) if share else None
        rows.append(frozen_features(network, cache, tables, equalizer, progress))
    return np.concatenate(rows, axis=1)


def probe(
    features: npt.NDArray[np.float32],
    cache: FeatureCache,
    protocol: str,
    seeds: Sequence[int],
    inverse_penalty: float,
    *,
    is_grouped: bool,
) -> ProbeResult:
    """Fit a regression on the training and validation tracks of every split and measure it on the test tracks.

    Nothing is chosen on the way, so validation tracks are there to learn from.

    Parameters
    ----------
    features
        float32 [n_tracks, D] of the cache's tracks.
    cache
        The tracks.
    protocol, is_grouped
        See :func:`edgegenre.gtzan.protocols.assign_protocol`.
    seeds
        Of the splits; ``kfold10`` runs its ten folds with each.
    inverse_penalty
        See :func:`.feature_teacher.fit_regression`.

    Raises
    ------
    UsageError, DataError
        As the protocol does.
    """
    accuracies, n_tracks = [], []
    for seed in seeds:
        for fold in range(FOLDS if protocol == "kfold10" else 1):
            split = assign_protocol(cache, protocol, seed=seed, fold=fold, is_grouped=is_grouped)
            train = np.concatenate([split.tracks_of("train"), split.tracks_of("valid")])
            test = split.tracks_of("test")
            found = regress(features[train], cache.y[train], features[test], inverse_penalty)
            accuracies.append(float((found.argmax(axis=1) == cache.y[test]).mean()))
            n_tracks.append(len(test))
    return ProbeResult(tuple(accuracies), tuple(n_tracks))
