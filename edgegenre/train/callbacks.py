"""What happens after each epoch: validation, the best checkpoint, the state to resume from, logs, early stopping."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
from torch import nn
from torch.optim.swa_utils import AveragedModel

from edgegenre.checkpoint import Checkpoint, save_checkpoint
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.metrics.truth import fit_thresholds, is_right
from edgegenre.evaluate.scoring import TrackScores, score_windows, torch_predictor, track_windows
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import Tables

from .batches import Batches
from .lightning_module import TrainModule
from .loggers import figure_name_of, figure_of, save_history, valid_figures, valid_key
from .resume import RunState, restore_optimizer, save_state
from .weight_average import weight_average

__all__ = ["EpochEnd"]


class EpochEnd(lightning.Callback):
    """Scores the validation tracks after each epoch, saves the best checkpoint, and stops early.

    The best epoch has the highest track accuracy (of several labels: mean average precision), averaged over the data
    sets that are validated on; among equals, the lowest track loss on the first. Its thresholds are fitted there too.

    Parameters
    ----------
    batches
        The training batches; their epoch is advanced here.
    checkpoint
        The checkpoint to save, without weights.
    out
        Folder of the run.
    identity
        See :class:`.resume.RunState`.
    state
        The state that an earlier run was stopped in, or None.
    report, on_epoch
        Called after each epoch with one line, and with the row of the history; or None.
    also_validate
        Further data sets of the same front-end and classes.
    """

    def __init__(
        self,
        batches: Batches,
        checkpoint: Checkpoint,
        out: Path,
        identity: dict[str, Any],
        state: RunState | None,
        report: Callable[[str], None] | None,
        on_epoch: Callable[[dict[str, float]], None] | None,
        also_validate: Sequence[FeatureCache] = (),
    ) -> None:
        self.batches, self.checkpoint, self.out, self.identity, self.report = batches, checkpoint, out, identity, report
        self.state, self.on_epoch = state, on_epoch
        self.best_epoch = -1 if state is None else state.best_epoch
        self.history: list[dict[str, float]] = [] if state is None else list(state.history)
        sets = [_validation(cache, batches.tables) for cache in (batches.cache, *also_validate)]
        (self.windows, self.truth), self.others = sets[0], sets[1:]
        self.average: AveragedModel | None = None

    def is_done(self) -> bool:
        """Return whether all epochs are done or patience has run out."""
        o, done = self.batches.options, len(self.history)
        return done >= o.epochs or done - 1 - self.best_epoch >= o.patience

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Set up the averaged weights and the optimizer, on the device where training happens."""
        module = _checked(pl_module)
        if self.batches.options.average:
            self.average = weight_average(module.network, self.batches.options.average)
        if self.state is not None:
            restore_optimizer(trainer.optimizers[0], module.network, self.state.optimizer)
            if self.average is not None:
                self.average.load_state_dict(self.state.average)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the averaged weights."""
        if self.average is not None:
            self.average.update_parameters(_checked(pl_module).network)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Validate and save on the first process; it broadcasts whether to continue."""
        module = _checked(pl_module)
        train_loss = float(trainer.callback_metrics["train_loss"])  # a collective: every process must call it
        failure: Exception | None = None
        if trainer.is_global_zero:
            try:
                self._finish_epoch(trainer, module, train_loss)
            except Exception as error:  # broadcast first: the other processes wait for this one
                failure = error
        reason = "" if failure is None else str(failure) or type(failure).__name__
        self.history, self.best_epoch, reason = trainer.strategy.broadcast((self.history, self.best_epoch, reason))
        if failure is not None:
            raise failure
        if reason:
            raise UsageError(f"the first process stopped: {reason}")
        self.batches.epoch = module.epoch + 1
        trainer.should_stop = self.is_done()

    def _finish_epoch(self, trainer: lightning.Trainer, module: TrainModule, train_loss: float) -> None:
        epoch = module.epoch
        network = module.network if self.average is None else self.average.module
        top_db = self.batches.tables.spec.top_db
        task = self.checkpoint.task
        predict = torch_predictor(network, top_db, task)
        scores = score_windows(predict, self.windows, self.truth, task)
        others = [score_windows(predict, windows, truth, task) for windows, truth in self.others]
        module.network.train()
        if not math.isfinite(scores.track_loss):
            raise UsageError(
                f"the network's answers became NaN in epoch {epoch + 1}: try a lower --learning-rate; the best "
                f"checkpoint so far is in {self.out}"
            )
        self.history.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "valid_loss": scores.track_loss,
                valid_key(task): figure_of(task, scores),
                **{f"{valid_key(task)}_{i}": figure_of(task, other) for i, other in enumerate(others, 2)},
            }
        )
        if max(self.history, key=_merit)["epoch"] == epoch:
            self.best_epoch = epoch
            self._save_best(network, scores)
        save_history(self.history, self.out / "history.json")
        save_state(
            self.out / "last.safetensors",
            identity=self.identity,
            best_epoch=self.best_epoch,
            history=self.history,
            network=module.network,
            average=self.average,
            optimizer=trainer.optimizers[0],
        )
        self._report_epoch(trainer)

    def _save_best(self, network: nn.Module, scores: TrackScores) -> None:
        state = {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}
        task = fit_thresholds(self.checkpoint.task, scores.probabilities, scores.truth)
        valid = dataclasses.replace(
            scores, track_accuracy=float(is_right(task, scores.probabilities, scores.truth).mean())
        )
        meta = {**self.checkpoint.meta, "best_epoch": self.best_epoch, "valid": valid.summary()}
        best = dataclasses.replace(self.checkpoint, state=state, meta=meta, task=task)
        save_checkpoint(self.out / "best.safetensors", best)

    def _report_epoch(self, trainer: lightning.Trainer) -> None:
        row = self.history[-1]
        epoch = int(row["epoch"])
        if self.on_epoch is not None:
            self.on_epoch(row)
        rate = float(trainer.optimizers[0].param_groups[-1]["lr"])
        for logger in trainer.loggers:
            logger.log_metrics({**row, "learning_rate": rate}, step=epoch)
            logger.save()
        if self.report is not None:
            accuracy = " and ".join(f"{value:.3f}" for value in valid_figures(row))
            what = figure_name_of(self.checkpoint.task.kind)
            self.report(
                f"epoch {epoch + 1}/{self.batches.options.epochs}: train loss {row['train_loss']:.3f}, validation loss "
                f"{row['valid_loss']:.3f}, {what} {accuracy} (best in epoch {self.best_epoch + 1})"
            )


def _merit(row: dict[str, float]) -> tuple[float, float, float]:
    """Return the key by which the best epoch is the largest; among equals, the first."""
    return float(np.mean(valid_figures(row))), -row["valid_loss"], -row["epoch"]


def _validation(cache: FeatureCache, tables: Tables) -> tuple[list[npt.NDArray[np.int8]], npt.NDArray[Any]]:
    """Return the windows of each validation track of a cache, and the tracks' truths."""
    tracks = cache.tracks_of("valid")
    return [track_windows(cache, int(track), tables) for track in tracks], cache.truth(tracks)


def _checked(module: lightning.LightningModule) -> TrainModule:
    assert isinstance(module, TrainModule)  # noqa: S101  # the trainer is given nothing else
    return module
