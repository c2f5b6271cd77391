"""The acceptance gate: whether an artifact may stand for the network it comes from.

Both answer the same tracks (mean of a track's window probabilities, as everywhere). A track whose answer changes is
named; where the truth is known it counts as lost (was right, is wrong) or gained.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.evaluate.metrics.truth import answer_names, is_right, threshold_row, truth_names
from edgegenre_export.inputs.reference_tracks import ReferenceTracks
from edgegenre_runtime.network.task import Task

from .layer_error import Attribution

__all__ = ["AS_TRAINED", "AcceptanceReport", "ChangedTrack", "Limits", "Verdict", "judge", "judge_tuning"]

AS_TRAINED = "the network as trained"
"""What a pruned or fine-tuned network is judged against."""

_CLOSE = 0.1
_CLOSE_LABEL = 0.05  # a label so near its threshold changes by the rounding of a logit
_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What an artifact may differ by.

    Attributes
    ----------
    agreement
        Minimum share of tracks with the same answer, 0 to 1; one changed track is always allowed, so that a small set
        does not reject for a single one.
    tracks_per_lost
        One track net (lost less gained) may be lost for each so many, and one in any case.
    accuracy_drop
        Largest drop of accuracy that pruning and fine-tuning may cost, 0 to 1.
    embedding_cosine
        Smallest mean cosine between an artifact's embedding and the float network's.
    """

    agreement: float = 0.99
    tracks_per_lost: int = 290
    accuracy_drop: float = 0.02
    embedding_cosine: float = 0.9

    def allowed_changed(self, n_tracks: int) -> int:
        """Return how many of ``n_tracks`` may have another answer."""
        return max(1, math.floor((1 - self.agreement) * n_tracks + 1e-9))

    def allowed_lost(self, n_tracks: int) -> int:
        """Return how many of ``n_tracks`` may be lost net."""
        return max(1, n_tracks // self.tracks_per_lost)


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedTrack:
    """A track that is answered differently: its class (None if unknown), the answer before and the answer now."""

    name: str
    truth: str | None
    before: str
    now: str


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """An artifact, or a fine-tuned network, against the network it comes from.

    Attributes
    ----------
    artifact, against
        What was judged, and by what.
    n_tracks, n_windows
        How much both answered.
    agreement
        Share of tracks with the same answer, 0 to 1. Where the truth is not known, a track whose two best
        probabilities were within 0.1 counts as the same. Of several labels a track is the same where the sets of labels
        are; one whose probability was within 0.05 of its threshold does not count. A hierarchy is compared down to
        its leaves.
    changed
        The others, by name.
    lost, gained
        How many of them were right before, and are right now; None where the truth is not known.
    accuracy_before, accuracy_now
        Share of tracks that are right, 0 to 1 (:func:`edgegenre.evaluate.metrics.truth.is_right`); None where the truth
        is not known.
    cosine
        Smallest cosine between a track's probabilities before and now, 0 to 1.
    mean_probability_difference, max_probability_difference
        Mean and largest difference of a window's probabilities, 0 to 1.
    faults
        Broken limits, one sentence each.
    """

    artifact: str
    against: str
    n_tracks: int
    n_windows: int
    agreement: float
    changed: tuple[ChangedTrack, ...]
    lost: int | None
    gained: int | None
    accuracy_before: float | None
    accuracy_now: float | None
    cosine: float
    mean_probability_difference: float
    max_probability_difference: float
    faults: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class AcceptanceReport:
    """What the gate found.

    Attributes
    ----------
    source, digest
        The tracks, and a hash of their windows.
    limits
        What was allowed.
    verdicts
        One per artifact, and one for pruning or fine-tuning.
    layers
        Which layers the rounding hurts most; only where an artifact was refused.
    """

    source: str
    digest: str
    limits: Limits
    verdicts: tuple[Verdict, ...]
    layers: Attribution | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """Every broken limit, with what breaks it."""
        return tuple(f"{verdict.artifact}: {fault}" for verdict in self.verdicts for fault in verdict.faults)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready keys and values."""
        return {"status": "rejected" if self.faults else "passed", **dataclasses.asdict(self)}


def judge(
    artifact: str,
    against: str,
    before: _Floats,
    now: _Floats,
    tracks: ReferenceTracks,
    task: Task,
    limits: Limits,
) -> Verdict:
    """Compare window probabilities before and now, float32 [N, C] each, over the windows of ``tracks``."""
    verdict = _compare(artifact, against, before, now, tracks, task)
    n, faults = verdict.n_tracks, []
    if len(verdict.changed) > limits.allowed_changed(n):
        faults.append(
            f"answers {len(verdict.changed)} of {n} tracks differently from {against} (agreement "
            f"{verdict.agreement:.2%}; allowed are {limits.allowed_changed(n)})"
        )
    if verdict.lost is not None and verdict.gained is not None:
        net = verdict.lost - verdict.gained
        if net > limits.allowed_lost(n):
            faults.append(f"loses {net} tracks net of {n} (allowed: {limits.allowed_lost(n)})")
    if not np.isfinite(now).all():
        faults.append("answers NaN or infinity")
    return dataclasses.replace(verdict, faults=tuple(faults))


def judge_tuning(
    name: str, before: _Floats, now: _Floats, tracks: ReferenceTracks, task: Task, limits: Limits
) -> Verdict:
    """Compare a pruned or fine-tuned network with the network as it was: by accuracy, as it may well answer otherwise.

    Without truths, agreement stands for accuracy.
    """
    verdict = _compare(name, AS_TRAINED, before, now, tracks, task)
    drop = 1 - verdict.agreement
    if verdict.accuracy_before is not None and verdict.accuracy_now is not None:
        drop = verdict.accuracy_before - verdict.accuracy_now
    faults = (f"costs {100 * drop:.1f} points of accuracy (allowed: {100 * limits.accuracy_drop:.1f})",)
    return dataclasses.replace(verdict, faults=faults if drop > limits.accuracy_drop + 1e-9 else ())


def _compare(
    artifact: str, against: str, before: _Floats, now: _Floats, tracks: ReferenceTracks, task: Task
) -> Verdict:
    a, b = tracks.per_track(before), tracks.per_track(now)
    answers_a, answers_b, truth = np.array(answer_names(task, a)), np.array(answer_names(task, b)), tracks.truth
    differs = answers_a != answers_b
    if task.kind == "multi":
        row = threshold_row(task)
        differs = (((a >= row) != (b >= row)) & (np.abs(a - row) >= _CLOSE_LABEL)).any(axis=1)
    elif truth is None:  # rendered pieces are no genre that the network knows: many are too close to call
        differs &= np.diff(np.sort(a, axis=1)[:, -2:], axis=1)[:, 0] >= _CLOSE
    truths = None if truth is None else truth_names(task, truth)
    changed = [
        ChangedTrack(
            tracks.names[i],
            None if truths is None else truths[i],
            str(answers_a[i]),
            str(answers_b[i]),
        )
        for i in np.flatnonzero(differs)
    ]
    right_a, right_b = (None if truth is None else is_right(task, p, truth) for p in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return Verdict(
        artifact=artifact,
        against=against,
        n_tracks=len(a),
        n_windows=len(before),
        agreement=float((~differs).mean()),
        changed=tuple(sorted(changed, key=lambda track: track.name)),
        lost=None if right_a is None or right_b is None else int((right_a & ~right_b).sum()),
        gained=None if right_a is None or right_b is None else int((right_b & ~right_a).sum()),
        accuracy_before=None if right_a is None else float(right_a.mean()),
        accuracy_now=None if right_b is None else float(right_b.mean()),
        cosine=float(min(1.0, ((a * b).sum(axis=1) / np.maximum(norms, 1e-12)).min())),
        mean_probability_difference=float(np.abs(before - now).mean()),
        max_probability_difference=float(np.abs(before - now).max()),
        faults=(),
    )
