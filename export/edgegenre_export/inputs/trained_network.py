"""The network of a job: in eval mode, with its labels and front-end, from a checkpoint or of the user's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre.data.labels import check_labels
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig
from edgegenre.recorded_path import recorded_paths
from edgegenre_runtime.errors import ExportError, UsageError
from edgegenre_runtime.frontend import FrontendSpec, Tables
from edgegenre_runtime.network.task import ONE_LABEL, Task, make_task

from .training_record import check_record

__all__ = ["TrainedNetwork", "checkpoint_network", "module_network"]

_BATCH = 32


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A network to export.

    Attributes
    ----------
    name
        What to call it.
    module
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    labels
        Class names in the order of the logits.
    spec, spec_hash
        The front-end of its windows.
    config
        How edgegenre builds it; None for a network of the user's own.
    model, meta
        JSON-ready: what the network is, and how it was trained.
    task
        What the logits mean; one label of several if it is not given.

    Raises
    ------
    DataError
        If a label is not one that a bundle can hold (:func:`edgegenre.data.labels.check_labels`).
    UsageError
        If a label is there twice.
    ExportError
        If card and manifest cannot be written from ``meta``.
    """

    name: str
    module: nn.Module
    labels: tuple[str, ...]
    spec: FrontendSpec
    spec_hash: str
    config: ModelConfig | None
    model: Mapping[str, Any]
    meta: Mapping[str, Any]
    task: Task = ONE_LABEL

    def __post_init__(self) -> None:
        if self.task.kind == "single":
            object.__setattr__(self, "task", make_task("single", self.labels))
        if self.task.labels != self.labels:
            raise UsageError(f"{self.name}: its task is of {', '.join(self.task.labels)}, not {', '.join(self.labels)}")
        check_labels(self.labels, self.name)
        if len(set(self.labels)) != len(self.labels):
            raise UsageError(f"{self.name}: labels must differ, not {', '.join(self.labels)}")
        check_record(self.meta, self.name)

    def probabilities(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Return probabilities float32 [N, C] for cells int8 [N, n_mels, frames]."""
        return self.task.probabilities(self.logits(cells))

    def logits(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Return logits float32 [N, C] for cells int8 [N, n_mels, frames]."""
        with torch.no_grad():
            batches = torch.split(network_input(cells, self.spec.top_db), _BATCH)
            return np.concatenate([self.module(batch).numpy() for batch in batches]).astype(np.float32)


def checkpoint_network(checkpoint: Checkpoint) -> TrainedNetwork:
    """Return a checkpoint's network; raises :class:`CheckpointError` if its weights are not usable."""
    return TrainedNetwork(
        name=checkpoint.config.name,
        module=to_module(checkpoint).eval(),
        labels=checkpoint.labels,
        spec=checkpoint.spec,
        spec_hash=checkpoint.spec_hash,
        config=checkpoint.config,
        model=checkpoint.config.to_dict(),
        meta=recorded_paths(checkpoint.meta),
        task=checkpoint.task,
    )


def module_network(
    module: nn.Module,
    tables: Tables,
    labels: Sequence[str],
    name: str,
    meta: Mapping[str, Any],
    task: Task = ONE_LABEL,
) -> TrainedNetwork:
    """Return a network of the user's own, after trying it on one empty window.

    Raises
    ------
    ExportError
        If it holds NaN or infinite weights, does not take a window, or does not give one logit per label.
    UsageError
        If there are fewer than two labels.
    """
    spec = tables.spec
    if len(labels) < 2:
        raise UsageError(f"{len(labels)} labels were given; a classifier needs two or more")
    bad = [key for key, value in module.state_dict().items() if not torch.isfinite(value).all()]
    if bad:
        raise ExportError(f"{name} holds NaN or infinite weights in {bad[0]}: train it again")
    module.eval()
    try:
        with torch.inference_mode():
            logits = module(torch.zeros(1, 1, spec.n_mels, spec.frames_per_window))
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"{name} does not take a window [1, 1, {spec.n_mels}, {spec.frames_per_window}]: {reason}"
        ) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (1, len(labels)):
        shape = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ExportError(f"{name} gives {shape} for one window; logits [1, {len(labels)}], one per label, are needed")
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    return TrainedNetwork(
        name=name,
        module=module,
        labels=tuple(labels),
        spec=spec,
        spec_hash=tables.spec_hash,
        config=None,
        model={"name": name, "class": kind},
        meta=dict(meta),
        task=task,
    )
