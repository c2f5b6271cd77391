"""Scores of a predictor over cached tracks: every window of a track, then the mean of its windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.data.windows import track_windows, window_hop_frames, window_starts
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.frontend.decibels import cells_to_db
from edgegenre_runtime.network.head import Head
from edgegenre_runtime.network.quantization import softmax
from edgegenre_runtime.network.smoothing import smooth_track
from edgegenre_runtime.network.task import ONE_LABEL, Task

from .metrics.truth import is_right, losses
from .metrics.wilson import wilson_interval

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Predictor",
    "RunEach",
    "TrackScores",
    "head_answers",
    "network_input",
    "score_answers",
    "score_tracks",
    "score_windows",
    "smoothed",
    "torch_predictor",
    "track_windows",
    "window_starts",
]

Predictor = Callable[[npt.NDArray[np.int8]], npt.NDArray[np.float32]]
"""From int8 cells [B, n_mels, frames_per_window] to probabilities float32 [B, n_classes]."""

RunEach = Callable[[Predictor, Iterable[npt.NDArray[np.int8]]], Iterator[npt.NDArray[np.float32]]]
"""What gives the predictor's result for each batch, in order, as :class:`map` does."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrackScores:
    """Scores over a set of tracks.

    Attributes
    ----------
    window_accuracy, track_accuracy
        Fraction of windows, and of tracks (mean of the window probabilities, or a head's last answer), whose answer is
        right (:func:`.metrics.truth.is_right`).
    track_loss
        Mean negative log-likelihood of the tracks, in nats.
    n_windows, n_tracks
        Number of windows and tracks.
    probabilities
        float32 [n_tracks, n_classes], of each track.
    truth
        As in :mod:`.metrics.truth`, of each track.
    window_probabilities
        float32 [n_windows, n_classes], track after track; a head's after each window.
    windows_per_track
        int64 [n_tracks].
    """

    window_accuracy: float
    track_accuracy: float
    track_loss: float
    n_windows: int
    n_tracks: int
    probabilities: npt.NDArray[np.float32]
    truth: npt.NDArray[Any]
    window_probabilities: npt.NDArray[np.float32]
    windows_per_track: npt.NDArray[np.int64]

    @property
    def window_truth(self) -> npt.NDArray[Any]:
        """The truth of each window's track, [n_windows] or [n_windows, n_classes]."""
        return np.repeat(self.truth, self.windows_per_track, axis=0)

    def summary(self) -> dict[str, Any]:
        """Return the metrics as JSON-ready keys and values, with the 95 % interval of the track accuracy."""
        low, high = wilson_interval(round(self.track_accuracy * self.n_tracks), self.n_tracks)
        return {
            "track_accuracy": round(self.track_accuracy, 4),
            "track_accuracy_95": [round(low, 4), round(high, 4)],
            "window_accuracy": round(self.window_accuracy, 4),
            "track_loss": round(self.track_loss, 4),
            "n_tracks": self.n_tracks,
            "n_windows": self.n_windows,
        }


def network_input(cells: npt.NDArray[np.int8], top_db: int) -> torch.Tensor:
    """Return int8 [B, M, T] window cells as the network's float32 [B, 1, M, T] in dB above the floor."""
    import torch

    return torch.from_numpy(cells_to_db(cells, top_db)[:, None])


def torch_predictor(network: nn.Module, top_db: int, task: Task = ONE_LABEL) -> Predictor:
    """Return a predictor that runs a network, put into eval mode, on the device where its weights are."""
    import torch

    network.eval()

    def predict(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            device = next(network.parameters()).device
            logits = network(network_input(cells, top_db).to(device))
            return task.probabilities(logits.float().cpu().numpy())

    return predict


def score_tracks(
    predict: Predictor,
    cache: FeatureCache,
    tracks: npt.NDArray[np.int64],
    tables: Tables,
    task: Task = ONE_LABEL,
    batch_size: int = 64,
    run_each: RunEach = map,
) -> TrackScores:
    """Score a predictor on the given tracks of a cache."""
    windows = [track_windows(cache, int(track), tables) for track in tracks]
    return score_windows(predict, windows, cache.truth(tracks), task, batch_size, run_each)


def score_windows(
    predict: Predictor,
    windows: Sequence[npt.NDArray[np.int8]],
    truth: npt.NDArray[Any],
    task: Task = ONE_LABEL,
    batch_size: int = 64,
    run_each: RunEach = map,
) -> TrackScores:
    """Score a predictor on the windows of each track (:func:`track_windows`), for which ``truth`` is right.

    ``run_each`` runs the predictor on one batch after another, in other processes where it is
    :meth:`edgegenre_runtime.workers.Workers.map`; the batches are the same.
    """
    counts = np.array([len(cells) for cells in windows])
    cells = np.concatenate(windows)
    blocks = run_each(predict, (cells[i : i + batch_size] for i in range(0, len(cells), batch_size)))
    per_window = np.concatenate(list(blocks))
    first = np.cumsum(counts) - counts
    return _scores(per_window, counts, np.add.reduceat(per_window, first, axis=0) / counts[:, None], truth, task)


def score_answers(answers: Sequence[npt.NDArray[np.float32]], truth: npt.NDArray[np.int64]) -> TrackScores:
    """Score answers after each window of a track, float32 [n, C] a track; the track's is the last."""
    counts = np.array([len(one) for one in answers])
    return _scores(np.concatenate(answers), counts, np.stack([one[-1] for one in answers]), truth, ONE_LABEL)


def head_answers(head: Head, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a head's probabilities float32 [n, C] after each of a track's windows, whose embeddings are [n, D]."""
    return softmax(head.run(embeddings))


def _scores(
    per_window: npt.NDArray[np.float32],
    counts: npt.NDArray[np.int64],
    per_track: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    task: Task,
) -> TrackScores:
    hits = is_right(task, per_window, np.repeat(truth, counts, axis=0))
    return TrackScores(
        window_accuracy=float(hits.mean()),
        track_accuracy=float(is_right(task, per_track, truth).mean()),
        track_loss=float(losses(task, per_track, truth).mean()),
        n_windows=len(per_window),
        n_tracks=len(truth),
        probabilities=per_track.astype(np.float32),
        truth=truth,
        window_probabilities=per_window,
        windows_per_track=counts.astype(np.int64),
    )


def smoothed(
    window_probabilities: npt.NDArray[np.float32], windows_per_track: npt.NDArray[np.int64], tables: Tables
) -> npt.NDArray[np.float64]:
    """Return the windows' probabilities, [n_windows, n_classes], smoothed along each track as listening does."""
    spec = tables.spec
    hop_s = window_hop_frames(spec.frames_per_window) * spec.hop_samples / spec.sample_rate_hz
    tracks = np.split(window_probabilities, np.cumsum(windows_per_track)[:-1])
    return np.concatenate([smooth_track(rows, hop_s * np.arange(len(rows), dtype=np.float64)) for rows in tracks])
