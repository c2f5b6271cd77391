"""A head by regression: the body stays as published, and a strongly regularized regression on its features answers.

With a few hundred tracks, what a pretrained body hears of music that is not in the data set is soon lost by
fine-tuning it; a penalized head on top keeps it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.checkpoint import Checkpoint
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.scoring import TrackScores, score_tracks, torch_predictor
from edgegenre.models import ModelConfig, Network
from edgegenre.models.joined.base import Joined
from edgegenre.models.joined.tag_prior import prior_weights
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import Tables

from .feature_teacher import fit_regression, regress_from
from .features import frozen_features

__all__ = ["FittedHead", "fit_head"]

_LEAST_DEVIATION = 0.01
"""Of a feature, over the median of all."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A checkpoint whose head was fitted, the number of tracks it was fitted on, and the scores on validation tracks.

    ``valid`` is None where the validation tracks were among them.
    """

    checkpoint: Checkpoint
    n_tracks: int
    valid: TrackScores | None


def fit_head(
    network: Network,
    config: ModelConfig,
    cache: FeatureCache,
    tables: Tables,
    parts: Sequence[str],
    inverse_penalty: float,
    about: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
    tag_prior: float = 0.0,
) -> FittedHead:
    """Fit the head of a network to the tracks of some parts of a data set.

    A track is the mean over its windows of what the head sees; the fitted head then answers window by window.

    Parameters
    ----------
    network, config
        With the weights of its body; its head, one dense layer, is replaced.
    cache, tables
        Log-mel frames with a split, and their front-end.
    parts
        ``("train",)``, or more of ``"train"``, ``"valid"`` and ``"test"``.
    inverse_penalty
        See :func:`.feature_teacher.fit_regression`.
    about
        JSON-ready facts for the checkpoint's ``meta``.
    progress
        Called with the tracks done and the tracks in all.
    tag_prior
        How much the regression starts from what musicnn's tags say (:mod:`edgegenre.models.joined.tag_prior`); 0: not
        at all, as a network without tags must.

    Raises
    ------
    DataError
        If a class has no track in the parts.
    UsageError
        If the head is no dense layer, a track has several labels, or a network without tags is to start from them.
    """
    cache.require_single("fitting a head")
    head = network.stages()[-1][1]
    if not isinstance(head, nn.Linear):
        raise UsageError(f"the head of {config.name} is no dense layer, which a regression could replace")
    tags = network.tags() if isinstance(network, Joined) else {}
    if tag_prior and not tags:
        raise UsageError(f"{config.name} hears no tags to start from: leave out --tag-prior")
    tracks = np.concatenate([cache.tracks_of(part) for part in parts])
    counts = np.bincount(cache.y[tracks], minlength=len(cache.labels))
    if not counts.all():
        empty = [name for name, count in zip(cache.labels, counts, strict=True) if not count]
        raise DataError(f"fitting needs tracks of every class; none in {', '.join(parts)} for: {', '.join(empty)}")
    features = frozen_features(network, cache, tables, progress=progress, tracks=tracks)
    prior = (tuple(cache.labels), tags, tag_prior) if tag_prior else None
    network.set_regression(*_regression(features, cache.y[tracks], inverse_penalty, prior))
    valid = None
    if "valid" not in parts:
        predict = torch_predictor(network, tables.spec.top_db)
        valid = score_tracks(predict, cache, cache.tracks_of("valid"), tables)
    state = {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}
    meta = {**about, "inverse_penalty": inverse_penalty, "fitted_on": list(parts), "n_tracks": len(tracks)}
    if tag_prior:
        meta["tag_prior"] = tag_prior
    if valid is not None:
        meta["valid"] = valid.summary()
    checkpoint = Checkpoint(config, tuple(cache.labels), tables.spec, tables.spec_hash, state, meta)
    return FittedHead(checkpoint, len(tracks), valid)


def _regression(
    features: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    inverse_penalty: float,
    prior: tuple[tuple[str, ...], Mapping[str, int], float] | None = None,
) -> list[torch.Tensor]:
    """Return mean and deviation float32 [D] of the features, weight float32 [C, D] and bias float32 [C].

    A channel that is silent on nearly every track has weight 0: standardized, it would need steps that no int8 runtime
    has.
    """
    deviations = features.std(axis=0)
    used = deviations > _LEAST_DEVIATION * np.median(deviations)
    scaler, regression = (step for _, step in fit_regression(features[:, used], y, inverse_penalty).steps)
    mean, deviation = np.zeros(len(used)), np.ones(len(used))
    mean[used], deviation[used] = scaler.mean_, scaler.scale_
    if prior is None:
        weight, bias = np.zeros((len(regression.coef_), len(used))), regression.intercept_
        weight[:, used] = regression.coef_
        if len(weight) == 1:  # two classes: scikit-learn has one row, against 0
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    else:
        labels, tags, share = prior
        standardized = np.where(used, (features - mean) / deviation, 0.0)
        weight, bias = regress_from(share * prior_weights(labels, tags, standardized), standardized, y, inverse_penalty)
    return [torch.from_numpy(array).float() for array in (mean, deviation, weight, bias)]
