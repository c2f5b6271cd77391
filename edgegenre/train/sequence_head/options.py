"""How to train a head. No torch: wrong numbers are refused before it is imported."""

from __future__ import annotations

import dataclasses

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.network.head import HeadConfig, check_head
from edgegenre_runtime.network.head.config import ATTENTION_HEADS

__all__ = ["HeadOptions"]


@dataclasses.dataclass(frozen=True, slots=True)
class HeadOptions:
    """The options of a head's training.

    Attributes
    ----------
    kind
        ``mean``, ``attention``, ``gru`` or ``transformer``.
    width
        Units inside of it, a multiple of 4; ``mean`` has none.
    memory
        Windows that a transformer looks back on.
    encoder_rate
        Peak learning rate of the encoder; 0 freezes it.
    epochs, patience, batch_size
        Maximum number of epochs, epochs without a better one after which training stops, tracks per step.
    shifts
        Copies of each training track whose windows begin at other frames.
    learning_rate, weight_decay, dropout, label_smoothing, class_weights, seed
        As in :class:`.options.TrainOptions`; embeddings are dropped value by value.
    """

    kind: str
    width: int = 64
    memory: int = 32
    encoder_rate: float = 0.0
    epochs: int = 60
    patience: int = 20
    batch_size: int = 32
    shifts: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    dropout: float = 0.5
    label_smoothing: float = 0.0
    class_weights: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_head(self.kind)
        if self.width < ATTENTION_HEADS or self.width % ATTENTION_HEADS or not 1 <= self.memory <= 1024:
            raise UsageError(f"a head's width must be a multiple of {ATTENTION_HEADS}, its memory 1 to 1024 windows")
        if min(self.epochs, self.patience, self.batch_size, self.shifts) < 1 or not 0 < self.learning_rate < 1:
            raise UsageError("epochs, patience, batch size and crops must be at least 1, the learning rate in 0 … 1")
        if not (0 <= self.encoder_rate < 1 and 0 <= self.weight_decay < 1 and 0 <= self.dropout < 1 and self.seed >= 0):
            raise UsageError("the encoder's learning rate, weight decay and dropout must be at least 0 and below 1")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError("label smoothing must be at least 0 and below 1")

    def config(self, embedding_size: int, n_classes: int) -> HeadConfig:
        """Return the head for embeddings of a size and a number of classes."""
        width = 0 if self.kind == "mean" else self.width
        return HeadConfig(self.kind, embedding_size, n_classes, width, self.memory if self.kind == "transformer" else 0)
