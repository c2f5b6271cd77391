"""The loss of each kind of task, and the targets that it takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.data.feature_cache import FeatureCache

from .options import TrainOptions

__all__ = ["BinaryLoss", "NodeLoss", "class_weights_of", "make_loss", "targets_of"]

_MAX_WEIGHT = 20.0


def targets_of(cache: FeatureCache, tracks: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the targets of some tracks: float32 [k, C] over the classes; of a hierarchy [k, K] over all nodes."""
    truth = cache.truth(tracks)
    if truth.dtype == np.bool_:
        return truth.astype(np.float32)
    one_hot: npt.NDArray[np.float32] = np.eye(len(cache.task().names), dtype=np.float32)[truth]
    return one_hot


def make_loss(cache: FeatureCache, options: TrainOptions) -> nn.Module:
    """Return the loss for a cache's labels: logits [B, C] and targets as :func:`targets_of` to a scalar.

    Classes are weighted by the inverse of their frequency among the training tracks where the options say so; of
    several labels, the examples of a class by how many tracks are without it for each with it, at most 20.
    """
    task, weights = cache.task(), class_weights_of(cache, class_weights=options.class_weights)
    if task.kind == "multi":
        return BinaryLoss(weights, options.label_smoothing)
    if task.taxonomy is not None:
        return NodeLoss(task.taxonomy.is_below, weights, options.label_smoothing)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=options.label_smoothing)


def class_weights_of(cache: FeatureCache, *, class_weights: bool) -> torch.Tensor:
    """Return the weight of each class, or node, in the loss, as :func:`make_loss` says; float32 [C] or [K]."""
    targets = targets_of(cache, cache.tracks_of("train"))
    counts = targets.sum(axis=0, dtype=np.float64)
    if not class_weights:
        weights = np.ones(len(counts))
    elif cache.task_kind == "multi":
        weights = np.minimum((len(targets) - counts) / counts, _MAX_WEIGHT)
    else:
        weights = counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1))
    return torch.tensor(weights).float()


class BinaryLoss(nn.Module):
    """Binary cross-entropy of every class for itself.

    Parameters
    ----------
    positive_weights
        float32 [C], weight of a class's examples against the tracks without it.
    label_smoothing
        Half of it is added to a target of 0 and taken from one of 1.
    """

    positive_weights: torch.Tensor

    def __init__(self, positive_weights: torch.Tensor, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("positive_weights", positive_weights)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits and targets, float32 [B, C] each."""
        smoothed = targets + self.label_smoothing * (0.5 - targets)
        return nn.functional.binary_cross_entropy_with_logits(
            logits.float(), smoothed, pos_weight=self.positive_weights
        )


class NodeLoss(nn.Module):
    """Cross-entropy over the nodes of a taxonomy, whose probabilities are the sums over their leaves.

    For a track that is labeled at a leaf it is the usual cross-entropy; one that is labeled at an inner node teaches
    that the sum over the leaves below it is large, and not which.

    Parameters
    ----------
    is_below
        bool [K, C], as of :class:`edgegenre_runtime.network.taxonomy.Taxonomy`.
    weights
        float32 [K], weight of each node's tracks.
    label_smoothing
        Fraction of the target that is spread over all leaves.
    """

    mask: torch.Tensor
    leaf_share: torch.Tensor
    weights: torch.Tensor

    def __init__(self, is_below: npt.NDArray[np.bool_], weights: torch.Tensor, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        below = torch.from_numpy(is_below.copy())
        is_leaf = below.sum(dim=1) == 1
        self.register_buffer("mask", torch.zeros(below.shape).masked_fill(~below, -torch.inf))
        self.register_buffer("leaf_share", is_leaf.float() / is_leaf.sum())
        self.register_buffer("weights", weights)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits float32 [B, C] and targets float32 [B, K]."""
        leaves = torch.log_softmax(logits.float(), dim=1)
        nodes = torch.logsumexp(leaves[:, None, :] + self.mask, dim=2)
        smoothed = targets + self.label_smoothing * (self.leaf_share - targets)
        return -(smoothed * self.weights * nodes).sum(dim=1).mean()
