"""The personal head: genres learned from a handful of tracks, beside the classes of a bundle.

A learned class is the mean direction ``m`` of its tracks' embeddings (:class:`.class_statistics.ClassStatistics`), a
prototype. With ``z`` the direction of a window and ``μ_k`` the bundle's own, its logit is the log odds against all of
the bundle's classes, on top of their logits ``L``::

    logit = 12 (z · m) - log Σ exp(12 z · μ_k) + log Σ exp(L_k) - 0.7

so that the bundle's classes keep their order and their odds among each other, whatever is learned. Sharpness (12) and
prior (-0.7) were chosen on GTZAN's validation tracks (docs/learn.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .class_statistics import ClassStatistics, unit

__all__ = ["PersonalClass", "PersonalHead", "learn_class"]

_SHARPNESS = np.float32(12)
_PRIOR_LOGIT = -0.7

_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PersonalClass:
    """A learned class.

    Attributes
    ----------
    name
        Its label.
    mean
        Its mean direction, float32 [R], of length 1.
    n_tracks, n_windows
        What it was learned from.
    learned_at
        When, ISO 8601 in UTC.
    """

    name: str
    mean: _Floats
    n_tracks: int
    n_windows: int
    learned_at: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PersonalHead:
    """The learned classes, at least one, and the bundle's statistics that they were learned with."""

    statistics: ClassStatistics
    classes: tuple[PersonalClass, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order of :meth:`logits`."""
        return tuple(known.name for known in self.classes)

    def logits(self, vectors: _Floats, bundle_logits: _Floats) -> _Floats:
        """Return the learned logits float32 [..., P] for embeddings [..., D] and the bundle's logits [..., C]."""
        z = self.statistics.directions(vectors)
        own = _SHARPNESS * z @ np.stack([known.mean for known in self.classes]).T
        level = _log_sum(bundle_logits) - _log_sum(_SHARPNESS * z @ self.statistics.means.T)
        return np.asarray(own + level + _PRIOR_LOGIT, np.float32)


def learn_class(
    name: str, tracks: Sequence[_Floats], statistics: ClassStatistics, learned_at: str = ""
) -> PersonalClass:
    """Learn a class from the embeddings float32 [n_windows, D] of its tracks."""
    means = np.stack([statistics.directions(vectors).mean(axis=0) for vectors in tracks])
    n_windows = sum(len(vectors) for vectors in tracks)
    return PersonalClass(name, unit(means.mean(axis=0)), len(tracks), n_windows, learned_at)


def _log_sum(values: _Floats) -> _Floats:
    """Return the logarithm of the sum of exponentials over the last axis, which stays with length 1."""
    highest = values.max(axis=-1, keepdims=True)
    summed: _Floats = highest + np.log(np.exp(values - highest).sum(axis=-1, keepdims=True))
    return summed
