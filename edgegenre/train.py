"""Training of a network on cached log-mel frames, on PyTorch Lightning."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from edgegenre_runtime.frontend import DataError, Tables, UsageError, normalise

from .checkpoint import Checkpoint, save_checkpoint
from .features import FeatureCache, crop
from .models import ModelConfig, build
from .scoring import TrackScores, cells_to_db, score_tracks, torch_predictor

__all__ = ["TrainOptions", "TrainResult", "train"]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train.

    Attributes
    ----------
    epochs, patience
        Most epochs, and epochs without a better validation result after which training stops.
    batch_size, crops_per_track
        Windows a step, and random windows drawn from every training track an epoch.
    learning_rate, weight_decay
        Peak learning rate (reached after the first tenth, then a cosine to zero) and Adam's decoupled decay.
    class_weights
        Weight each class by the inverse of its share of the training tracks.
    precision
        Lightning's name for the arithmetic: ``"32-true"`` or ``"bf16-mixed"``.
    seed
        Seed of initial weights, crops and order.
    """

    epochs: int = 60
    patience: int = 20
    batch_size: int = 32
    crops_per_track: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    class_weights: bool = True
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        whole = (self.epochs, self.patience, self.batch_size, self.crops_per_track)
        if min(whole) < 1 or not 0 < self.learning_rate < 1 or not 0 <= self.weight_decay < 1 or self.seed < 0:
            raise UsageError("epochs, patience, batch size and crops must be at least 1, the learning rate in 0 … 1")


@dataclasses.dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run left: the best checkpoint, its epoch, and its validation scores."""

    checkpoint: Path
    best_epoch: int
    epochs_run: int
    valid: TrackScores


class _Crops(Dataset[tuple[torch.Tensor, int]]):
    """Random windows of the training tracks; which ones depends on seed, epoch and index alone."""

    def __init__(
        self, cache: FeatureCache, tracks: npt.NDArray[np.int64], tables: Tables, options: TrainOptions
    ) -> None:
        self.cache, self.tracks, self.tables, self.options = cache, tracks, tables, options
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.tracks) * self.options.crops_per_track

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        spec = self.tables.spec
        track = int(self.tracks[index % len(self.tracks)])
        frames = self.cache.track(track)
        rng = np.random.default_rng((self.options.seed, self.epoch, index))
        start = int(rng.integers(max(frames.shape[1] - spec.frames_per_window, 0) + 1))
        cells = normalise(crop(frames, start, spec.frames_per_window), self.tables).cells
        return cells_to_db(cells[None], spec.top_db)[0], int(self.cache.y[track])


class _Network(lightning.LightningModule):
    """The network with its loss, optimiser and schedule."""

    def __init__(self, network: nn.Module, weights: torch.Tensor, options: TrainOptions, n_steps: int) -> None:
        super().__init__()
        self.network, self.options, self.n_steps = network, options, n_steps
        self.loss = nn.CrossEntropyLoss(weight=weights)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        loss: torch.Tensor = self.loss(self.network(batch[0]), batch[1])
        if not torch.isfinite(loss):
            raise UsageError(
                f"the loss became {loss.item()} in epoch {self.current_epoch}: try a lower --learning-rate"
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch[1]))
        return loss

    def configure_optimizers(self) -> Any:
        """Adam with decoupled decay; warm-up over a tenth of the steps, then cosine to zero."""
        o = self.options
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=o.learning_rate, weight_decay=o.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=o.learning_rate, total_steps=self.n_steps + 1, pct_start=0.1
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _KeepBest(lightning.Callback):
    """After each epoch: score the validation tracks, keep the best checkpoint, stop when patience is out.

    Best is the highest track accuracy; among equals the lowest track loss.
    """

    def __init__(
        self,
        network: nn.Module,
        crops: _Crops,
        valid: npt.NDArray[np.int64],
        path: Path,
        checkpoint: Checkpoint,
        report: Callable[[str], None] | None,
    ) -> None:
        self.network, self.crops, self.valid, self.path, self.checkpoint = network, crops, valid, path, checkpoint
        self.report = report
        self.best: TrackScores | None = None
        self.best_epoch = -1
        self.history: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        network = self.network
        crops, spec = self.crops, self.crops.tables.spec
        scores = score_tracks(torch_predictor(network, spec.top_db), crops.cache, self.valid, crops.tables)
        network.train()
        epoch = trainer.current_epoch
        row = {"epoch": epoch, "train_loss": float(trainer.callback_metrics["train_loss"])}
        self.history.append({**row, "valid_loss": scores.track_loss, "valid_accuracy": scores.track_accuracy})
        pl_module.log("valid_accuracy", scores.track_accuracy, prog_bar=True)
        best = self.best
        if best is None or (scores.track_accuracy, -scores.track_loss) > (best.track_accuracy, -best.track_loss):
            self.best, self.best_epoch = scores, epoch
            state = {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}
            self._save(state, scores)
        if self.report is not None:
            self.report(
                f"epoch {epoch + 1}/{crops.options.epochs}: train loss {row['train_loss']:.3f}, validation loss "
                f"{scores.track_loss:.3f}, accuracy {scores.track_accuracy:.3f} (best in epoch {self.best_epoch + 1})"
            )
        crops.epoch = epoch + 1
        trainer.should_stop = epoch - self.best_epoch >= crops.options.patience

    def _save(self, state: dict[str, Any], scores: TrackScores) -> None:
        meta = {**self.checkpoint.meta, "best_epoch": self.best_epoch, "valid": scores.summary()}
        save_checkpoint(self.path, dataclasses.replace(self.checkpoint, state=state, meta=meta))


def train(
    cache: FeatureCache,
    tables: Tables,
    config: ModelConfig,
    options: TrainOptions,
    out: Path,
    *,
    about: dict[str, Any],
    progress_bar: bool = False,
    report: Callable[[str], None] = print,
) -> TrainResult:
    """Train a network on the cache's training tracks and keep the best by its validation tracks.

    Parameters
    ----------
    cache
        Log-mel frames with a split.
    tables
        The front-end that made them.
    config, options
        What to train and how.
    out
        Folder for ``best.safetensors``, ``best.json``, ``history.json`` and ``curves.png``.
    about
        JSON-ready facts for the checkpoint's ``meta``: ``data``, ``command``.
    progress_bar, report
        Whether to draw Lightning's bar; without it ``report`` is called with a line an epoch.

    Raises
    ------
    DataError
        If there is no training or validation track, or a class has no training track.
    UsageError
        If the loss stops being finite.
    """
    train_tracks, valid_tracks = cache.tracks_of("train"), cache.tracks_of("valid")
    counts = np.bincount(cache.y[train_tracks], minlength=len(cache.labels))
    if not len(valid_tracks) or not counts.all():
        empty = [name for name, count in zip(cache.labels, counts, strict=True) if not count]
        raise DataError(
            f"training needs validation tracks and tracks of every class; none for: {empty or 'validation'}"
        )
    torch.manual_seed(options.seed)
    weights = counts.sum() / (len(counts) * counts) if options.class_weights else np.ones(len(counts))
    crops = _Crops(cache, train_tracks, tables, options)
    loader = DataLoader(crops, batch_size=options.batch_size, shuffle=True, drop_last=len(crops) > options.batch_size)
    network: nn.Module = build(config)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster; missing in torch's stubs
    module = _Network(network, torch.tensor(weights).float(), options, len(loader) * options.epochs)
    meta = {**about, "options": dataclasses.asdict(options), "versions": _versions()}
    keep = _KeepBest(
        network,
        crops,
        valid_tracks,
        out / "best.safetensors",
        Checkpoint(config, tuple(cache.labels), tables.spec, tables.spec_hash, {}, meta),
        None if progress_bar else report,
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no hardware lists, no advertisements
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        precision=options.precision,
        callbacks=[keep],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
        default_root_dir=out,
        log_every_n_steps=1,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        try:
            trainer.fit(module, loader)
        except SystemExit as error:  # what Lightning makes of Ctrl-C; the best so far is already on disk
            raise KeyboardInterrupt from error
    if keep.best is None:
        raise UsageError("training was stopped before the first epoch ended: no checkpoint was written")
    (out / "history.json").write_text(json.dumps(keep.history, indent=1), encoding="utf-8")
    _plot(keep.history, keep.best_epoch, out / "curves.png")
    return TrainResult(keep.path, keep.best_epoch, len(keep.history), keep.best)


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "lightning": lightning.__version__, "python": platform.python_version()}


def _plot(history: list[dict[str, float]], best_epoch: int, path: Path) -> None:
    """Draw loss and validation accuracy over the epochs into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for key in ("train_loss", "valid_loss"):
        left.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    right.plot(epochs, [row["valid_accuracy"] for row in history], label="valid accuracy (tracks)")
    for axes in (left, right):
        axes.axvline(best_epoch, color="grey", linestyle=":", label="kept")
        axes.set_xlabel("epoch")
        axes.legend()
    figure.savefig(path, dpi=120)
