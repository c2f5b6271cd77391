"""How to train, and on what. No torch: wrong numbers are refused before it is imported."""

from __future__ import annotations

import dataclasses
from typing import Literal

from edgegenre.augment.spectrogram import AugmentConfig
from edgegenre_runtime.errors import UsageError

__all__ = ["Hardware", "TrainOptions"]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainOptions:
    """The training options: everything that determines the weights beside network, data and teachers.

    Attributes
    ----------
    epochs, patience
        Maximum number of epochs, and epochs without a better validation result after which training stops.
    batch_size, crops_per_track
        Windows per step, and random windows drawn per epoch from every training track.
    learning_rate, weight_decay
        Peak learning rate (after a warm-up over the first tenth, then a cosine to zero) and AdamW's decoupled decay.
    layer_decay
        Ratio of the learning rates of a group of layers and of the next one towards the head; 1 is the same for all.
    freeze_epochs
        First epochs in which only the head is trained.
    freeze_norms
        Keep the running statistics of the batch norms; their scale and shift are trained.
    class_weights
        Weight each class by the inverse of its frequency among the training tracks.
    label_smoothing
        Fraction of the target that is spread over all classes.
    augment
        Augmentation of the training windows.
    average
        Decay per step of the exponential moving average of the weights, which is then validated and saved; 0: off.
    teacher_weight, temperature
        With teachers: their fraction of the loss, and the temperature of the soft targets.
    soft_weight, unlabeled_share
        With soft labels: their fraction of a training track's target, and the fraction of a batch that is drawn from
        tracks without labels, whose targets are the soft labels.
    precision
        Lightning's name of the numeric precision: ``"32-true"`` or ``"bf16-mixed"``.
    seed
        Seed of initial weights, crops, augmentation, order and dropout.
    """

    epochs: int = 60
    patience: int = 20
    batch_size: int = 32
    crops_per_track: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    layer_decay: float = 1.0
    freeze_epochs: int = 0
    freeze_norms: bool = False
    class_weights: bool = True
    label_smoothing: float = 0.0
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    average: float = 0.0
    teacher_weight: float = 0.7
    temperature: float = 3.0
    soft_weight: float = 0.6
    unlabeled_share: float = 0.3
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.soft_weight <= 1 or round(self.batch_size * self.unlabeled_share) not in range(
            self.batch_size
        ):
            raise UsageError("the soft labels' weight must be in 0 … 1, the unlabeled share at least 0 and below 1")
        whole = (self.epochs, self.patience, self.batch_size, self.crops_per_track)
        if min(whole) < 1 or not 0 < self.learning_rate < 1 or not 0 <= self.weight_decay < 1 or self.seed < 0:
            raise UsageError("epochs, patience, batch size and crops must be at least 1, the learning rate in 0 … 1")
        if not 0 <= self.freeze_epochs < self.epochs:
            raise UsageError(
                f"{self.freeze_epochs} frozen epochs of {self.epochs}: at least one epoch must train all layers"
            )
        if not (0 <= self.label_smoothing < 1 and 0 <= self.average < 1 and 0 < self.layer_decay <= 1):
            raise UsageError("label smoothing and average must be at least 0 and below 1, layer decay in 0 … 1")
        if not (0 <= self.teacher_weight <= 1 and 0 < self.temperature <= 100):
            raise UsageError("the weight of the teachers must be in 0 … 1, the temperature above 0 and at most 100")


@dataclasses.dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware to train on, in Lightning's terms.

    Attributes
    ----------
    accelerator
        ``"auto"``, ``"cpu"``, ``"gpu"`` …
    devices, nodes
        Devices on each machine (-1: all of them), and machines.
    strategy
        ``"auto"``, ``"ddp"`` or another of Lightning's data-parallel strategies.
    workers
        Processes that load windows; 0: the training process itself.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        if (self.devices < 1 and self.devices != -1) or self.nodes < 1 or self.workers < 0:
            raise UsageError("devices must be at least 1 (or -1 for all), nodes at least 1, workers at least 0")
