"""The network with its loss, optimizer and schedule, as a LightningModule."""

from __future__ import annotations

import math
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn

from edgegenre import models
from edgegenre_runtime.errors import UsageError

from .distill import Teachers, distillation_loss
from .options import TrainOptions

__all__ = ["TrainModule", "learning_rate_factor"]

_WARM_UP = 0.1


class TrainModule(lightning.LightningModule):
    """A training step.

    Parameters
    ----------
    network
        The network to train.
    loss
        From logits and targets to a scalar (:func:`.losses.make_loss`).
    options
        The training options.
    first_epoch
        Epochs that an earlier run completed.
    teachers
        Networks to distill from, or None.
    """

    def __init__(
        self,
        network: models.Network,
        loss: nn.Module,
        options: TrainOptions,
        first_epoch: int,
        teachers: Teachers | None,
    ) -> None:
        super().__init__()
        self.network, self.options, self.first_epoch, self.teachers = network, options, first_epoch, teachers
        self.loss = loss
        self.groups = models.parameter_groups(network)

    @property
    def epoch(self) -> int:
        """The epoch, counted from 0 over all runs."""
        return int(self.first_epoch + self.current_epoch)

    def on_train_epoch_start(self) -> None:
        """Freeze or unfreeze all layers but the head, and freeze the batch norms' statistics."""
        if self.options.freeze_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        for _, parameters in self.groups[:-1]:
            for parameter in parameters:
                parameter.requires_grad_(self.epoch >= self.options.freeze_epochs)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        """Return the loss of a batch; raises :class:`UsageError` when it is not finite."""
        # Dropout follows from seed, epoch, step and rank alone; one seed per epoch would not do, because loaders draw
        # from the same generator, and not at the same time in the first epoch of a run as in a later one.
        place = np.random.SeedSequence((self.options.seed, self.epoch, number, self.global_rank))
        torch.manual_seed(int(place.generate_state(1)[0]))
        windows, targets = batch
        logits = self.network(windows)
        loss: torch.Tensor = self.loss(logits, targets)
        if self.teachers is not None:
            o = self.options
            soft = distillation_loss(logits, self.teachers(windows, o.temperature), o.temperature, self.teachers.kind)
            loss = (1 - o.teacher_weight) * loss + o.teacher_weight * soft
        is_parallel = self.trainer.world_size > 1
        if not self._is_finite_everywhere(loss, is_parallel):
            raise UsageError(f"the loss became {loss.item()} in epoch {self.epoch + 1}: try a lower --learning-rate")
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, logger=False, sync_dist=is_parallel,
            batch_size=len(targets),
        )  # fmt: skip
        return loss

    def _is_finite_everywhere(self, loss: torch.Tensor, is_parallel: bool) -> bool:
        """Return whether the loss is finite in every process; one that stopped alone would leave the others waiting."""
        n_wrong = (~torch.isfinite(loss.detach())).float()
        if is_parallel:
            n_wrong = self.trainer.strategy.reduce(n_wrong, reduce_op="sum")
        return not n_wrong.item()

    def configure_optimizers(self) -> Any:
        """Return AdamW, whose learning rate falls with the distance from the head, and its schedule."""
        o = self.options
        last = len(self.groups) - 1
        parts = [
            {"params": parameters, "lr": o.learning_rate * o.layer_decay ** (last - i)}
            for i, (_, parameters) in enumerate(self.groups)
        ]
        optimizer = torch.optim.AdamW(parts, lr=o.learning_rate, weight_decay=o.weight_decay)
        steps_an_epoch = int(self.trainer.estimated_stepping_batches) // int(self.trainer.max_epochs or 1)
        first, total = self.first_epoch * steps_an_epoch, o.epochs * steps_an_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor((first + step) / total)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def learning_rate_factor(progress: float) -> float:
    """Return the learning rate over its peak after a fraction 0 … 1 of the steps: linear warm-up, then a cosine."""
    if progress < _WARM_UP:
        return 0.04 + 0.96 * progress / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min((progress - _WARM_UP) / (1 - _WARM_UP), 1.0)))
