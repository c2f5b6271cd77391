"""What is exported: a network in eval mode with its labels and front-end, from a checkpoint or of the user's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre_runtime.errors import ExportError, UsageError
from edgegenre_runtime.frontend import FrontendSpec, Tables

__all__ = ["Subject", "checkpoint_subject", "own_subject"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network to export.

    Attributes
    ----------
    name
        What to call it.
    network
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    labels
        Class names in the order of the logits.
    spec, spec_hash
        The front-end of its windows.
    model, meta
        JSON-ready: what the network is, and how it was trained.
    """

    name: str
    network: nn.Module
    labels: tuple[str, ...]
    spec: FrontendSpec
    spec_hash: str
    model: Mapping[str, Any]
    meta: Mapping[str, Any]


def checkpoint_subject(checkpoint: Checkpoint) -> Subject:
    """Return a checkpoint's network; raises :class:`CheckpointError` if its weights are not usable."""
    return Subject(
        name=checkpoint.config.name,
        network=to_module(checkpoint),
        labels=checkpoint.labels,
        spec=checkpoint.spec,
        spec_hash=checkpoint.spec_hash,
        model=checkpoint.config.to_dict(),
        meta=checkpoint.meta,
    )


def own_subject(
    module: nn.Module, tables: Tables, labels: Sequence[str], name: str, meta: Mapping[str, Any]
) -> Subject:
    """Return a network of the user's own, after trying it on one empty window.

    Raises
    ------
    ExportError
        If it holds NaN or infinite weights, does not take a window, or does not give a logit a label.
    UsageError
        If there are fewer than two labels.
    """
    spec = tables.spec
    if len(labels) < 2:
        raise UsageError(f"{len(labels)} labels were given; a classifier needs two or more")
    bad = [key for key, value in module.state_dict().items() if not torch.isfinite(value).all()]
    if bad:
        raise ExportError(f"{name} holds NaN or infinite weights in {bad[0]}: train it again")
    network = module.eval()
    try:
        with torch.inference_mode():
            made = network(torch.zeros(1, 1, spec.n_mels, spec.frames_per_window))
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"{name} does not take a window [1, 1, {spec.n_mels}, {spec.frames_per_window}]: {reason}"
        ) from error
    if not isinstance(made, torch.Tensor) or tuple(made.shape) != (1, len(labels)):
        given = list(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
        raise ExportError(f"{name} gives {given} for one window; logits [1, {len(labels)}], one a label, are needed")
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    return Subject(name, network, tuple(labels), spec, tables.spec_hash, {"name": name, "class": kind}, dict(meta))
