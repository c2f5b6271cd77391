"""Training of a head over the windows of whole tracks, with the encoder frozen or at a low rate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.embeddings import embed
from edgegenre.evaluate.metrics.single_label import UNCERTAIN_LOST, uncertain_below
from edgegenre.evaluate.scoring import (
    TrackScores,
    head_answers,
    network_input,
    score_answers,
    score_tracks,
    smoothed,
    torch_predictor,
    track_windows,
)
from edgegenre.heads.checkpoint import TrainedHead, save_head
from edgegenre.heads.modules import build_head
from edgegenre_runtime.audio.sound_gate import UNCERTAIN_KEY
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import Tables

from ..lightning_module import learning_rate_factor
from ..loggers import plot_history, save_history
from ..loop import check_tracks
from ..losses import class_weights_of
from .options import HeadOptions
from .tracks import HeadBatch, HeadTracks

__all__ = ["HeadResult", "train_head"]

_MIN_DEVIATION = 1e-3
_WINDOW_SHARE = 0.5
"""Part of the loss that is the encoder's own logits', where it is trained."""


@dataclasses.dataclass(frozen=True, slots=True)
class HeadResult:
    """A trained head: its run's folder, its best epoch, validation scores, and those of the encoder's mean window."""

    run: Path
    best_epoch: int
    epochs_run: int
    valid: TrackScores
    mean_of_windows: TrackScores


def train_head(
    cache: FeatureCache,
    tables: Tables,
    encoder: Checkpoint,
    options: HeadOptions,
    out: Path,
    *,
    about: dict[str, Any],
    report: Callable[[str], None] = print,
) -> HeadResult:
    """Train a head on the cache's training tracks and save the epoch that is best on its validation tracks.

    Parameters
    ----------
    cache
        Log-mel frames with a split; the classes are the encoder's.
    tables
        The front-end that made them.
    encoder
        The network whose embeddings the head takes. With a learning rate of its own it is trained too, the statistics
        of its batch norms aside, and its own logits stay a part of the loss.
    options
        The head and how to train it.
    out
        Folder for ``best.*`` (the encoder), ``head.*``, ``history.json`` and ``curves.png``.
    about
        JSON-ready facts for the head's ``meta``.
    report
        Called with one line per epoch.

    Raises
    ------
    DataError
        If there is no training or validation track, or a class has no training track.
    UsageError
        If the loss stops being finite.
    """
    check_tracks(cache)
    cache.require_single("a head over windows")
    trainer = _Trainer(cache, tables, encoder, options, class_weights_of(cache, class_weights=options.class_weights))
    history: list[dict[str, float]] = []
    best = (-1.0, 0.0)
    best_epoch, valid = 0, None
    for epoch in range(options.epochs):
        loss = trainer.train_epoch(epoch)
        trained, scores = trainer.validate()
        row = {"train_loss": loss, "valid_loss": scores.track_loss, "valid_accuracy": scores.track_accuracy}
        history.append({"epoch": epoch, **row})
        if not all(map(math.isfinite, row.values())):
            raise UsageError(f"the loss became {loss} in epoch {epoch + 1}: try a lower --learning-rate")
        merit = (scores.track_accuracy, -scores.track_loss)
        if valid is None or merit > best:
            best, best_epoch, valid = merit, epoch, scores
            meta = {**about, "options": dataclasses.asdict(options), "best_epoch": epoch, "valid": scores.summary()}
            meta[UNCERTAIN_KEY] = _uncertain_below(scores, tables)
            save_head(out, dataclasses.replace(trained, meta=meta), trainer.encoder_now())
        report(
            f"epoch {epoch + 1}/{options.epochs}: train loss {loss:.3f}, validation loss {scores.track_loss:.3f}, "
            f"accuracy {scores.track_accuracy:.3f} (best in epoch {best_epoch + 1})"
        )
        if epoch - best_epoch >= options.patience:
            break
    save_history(history, out / "history.json")
    plot_history(history, best_epoch, out / "curves.png")
    assert valid is not None  # noqa: S101  # there is at least one epoch
    before = torch_predictor(to_module(encoder), tables.spec.top_db)
    mean = score_tracks(before, cache, cache.tracks_of("valid"), tables)
    return HeadResult(out, best_epoch, len(history), valid, mean)


def _uncertain_below(scores: TrackScores, tables: Tables) -> float:
    """Return the confidence below which an answer after a window, smoothed as on the device, is ``uncertain``."""
    smooth = smoothed(scores.window_probabilities, scores.windows_per_track, tables)
    return round(uncertain_below([(smooth, scores.window_truth)], UNCERTAIN_LOST), 4)


class _Trainer:
    """Encoder, head, tracks and optimizer of one training."""

    def __init__(
        self,
        cache: FeatureCache,
        tables: Tables,
        encoder: Checkpoint,
        options: HeadOptions,
        class_weights: torch.Tensor,
    ) -> None:
        valid = cache.tracks_of("valid")
        self.valid_cells = [track_windows(cache, int(track), tables) for track in valid]
        self.truth = cache.y[valid].astype(np.int64)
        self.encoder, self.options, self.top_db = encoder, options, tables.spec.top_db
        torch.manual_seed(options.seed)
        self.network = to_module(encoder)
        self.tracks = HeadTracks(self.network, cache, tables, options)
        embeddings = self.tracks.all_embeddings()
        self.head = build_head(options.config(embeddings.shape[1], len(cache.labels)))
        self.head.dropout.p = options.dropout
        self.head.center.copy_(embeddings.mean(dim=0))
        self.head.scale.copy_(1 / embeddings.std(dim=0).clamp(min=_MIN_DEVIATION))
        self.loss = nn.CrossEntropyLoss(weight=class_weights, label_smoothing=options.label_smoothing, reduction="none")
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": options.learning_rate}]
        if options.encoder_rate:
            groups.append({"params": list(self.network.parameters()), "lr": options.encoder_rate})
        self.optimizer = torch.optim.AdamW(groups, weight_decay=options.weight_decay)
        total = options.epochs * len(self.tracks)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: learning_rate_factor(step / total)
        )
        self.valid_embeddings: list[torch.Tensor] = []

    def train_epoch(self, epoch: int) -> float:
        """Train on every track once; returns the mean loss of the batches."""
        self.head.train()
        losses = []
        for number, tracks in self.tracks.batches(epoch):
            torch.manual_seed(int(np.random.SeedSequence((self.options.seed, epoch, number)).generate_state(1)[0]))
            loss = self._loss(self.tracks.batch(epoch, number, tracks))
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            self.optimizer.step()
            self.schedule.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def _loss(self, batch: HeadBatch) -> torch.Tensor:
        """Return the mean over tracks of the mean loss of a track's answers, after each of its windows."""
        embeddings, is_there, y, window_logits = batch
        head = self._mean_loss(self.head(embeddings), is_there, y)
        if window_logits is None:
            return head
        return (1 - _WINDOW_SHARE) * head + _WINDOW_SHARE * self._mean_loss(window_logits, is_there, y)

    def _mean_loss(self, logits: torch.Tensor, is_there: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        targets = y[:, None].expand(logits.shape[:2])
        each: torch.Tensor = self.loss(logits.flatten(0, 1), targets.flatten()).reshape(targets.shape) * is_there
        return (each.sum(dim=1) / is_there.sum(dim=1)).mean()

    def validate(self) -> tuple[TrainedHead, TrackScores]:
        """Return the head as it is, in NumPy, and its scores on the validation tracks."""
        if self.options.encoder_rate or not self.valid_embeddings:
            inputs = (network_input(cells, self.top_db) for cells in self.valid_cells)
            self.valid_embeddings = [embed(self.network, one) for one in inputs]
        state = {name: tensor.detach().numpy().copy() for name, tensor in self.head.state_dict().items()}
        trained = TrainedHead(self.head.config, state, {})
        head = trained.head()
        answers = [head_answers(head, one.numpy()) for one in self.valid_embeddings]
        return trained, score_answers(answers, self.truth)

    def encoder_now(self) -> Checkpoint:
        """Return the encoder's checkpoint with its weights as they are."""
        if not self.options.encoder_rate:
            return self.encoder
        state = {name: tensor.detach().numpy().copy() for name, tensor in self.network.state_dict().items()}
        return dataclasses.replace(self.encoder, state=state)
