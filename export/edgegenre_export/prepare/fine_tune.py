"""Fine-tuning of a network, as a recipe says, with the project's own trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegenre.augment.spectrogram import AugmentConfig
from edgegenre.checkpoint import load_checkpoint
from edgegenre.models import Network
from edgegenre.train import TrainOptions, train
from edgegenre.train.distill import Teachers, load_teachers
from edgegenre_export.inputs.trained_network import TrainedNetwork, checkpoint_network
from edgegenre_export.job import FineTuning
from edgegenre_export.recipes import Recipe, Tuning
from edgegenre_runtime.errors import ExportError, UsageError
from edgegenre_runtime.frontend import Tables

from .fake_quant import fake_quantize
from .prune import Pruned

__all__ = ["fine_tune"]

_AVERAGE = 0.98
_STALE = (
    "metrics",
    "uncertain_below",
    "temperature",
    "calibrated_by",
    "valid",
    "best_epoch",
    "options",
    "versions",
    "tuned",
)


def fine_tune(
    trained: TrainedNetwork,
    pruned: Pruned | None,
    tables: Tables,
    recipe: Recipe,
    material: FineTuning,
    report: Callable[[str], None] = print,
) -> TrainedNetwork:
    """Fine-tune a network on the training tracks of a cache; the best epoch by the validation tracks is returned.

    Parameters
    ----------
    trained
        The trained network.
    pruned
        What pruning left of it, which is fine-tuned in its place; None if the recipe does not prune.
    tables
        The front-end.
    recipe
        With a ``tuning``.
    material
        Features, teachers, seed, and the folder of the run; ``best.safetensors`` in it is what is returned.
    report
        Called with one line per epoch.

    Raises
    ------
    UsageError
        If the recipe has no tuning, or the cache or a teacher has other classes than the network.
    SpecError
        If a teacher was trained with another front-end.
    DataError
        If the cache has no training or validation tracks.
    ExportError
        If edgegenre does not know the network's parts.
    """
    tuning, cache, network = recipe.tuning, material.cache, trained.module
    if tuning is None:
        raise UsageError(f"recipe {recipe.name} has no fine-tuning")
    kind = trained.task.kind
    if cache.classes != trained.labels or cache.task_kind != kind:
        raise UsageError(
            f"fine-tuning data has classes {', '.join(cache.classes)}, the checkpoint {', '.join(trained.labels)}: "
            "give the data that it was trained on"
        )
    if not isinstance(network, Network) or trained.config is None:
        raise ExportError(f"{trained.name} cannot be fine-tuned: it was not built by edgegenre")
    teachers = load_teachers(material.teachers, tables, cache.classes, kind)
    config, start = trained.config, network
    if pruned is not None:
        config, start = pruned.config, pruned.network

    def initialize(fresh: Network) -> None:
        fresh.load_state_dict(start.state_dict())
        if tuning.fake_quantized:
            fake_quantize(fresh)

    unchanged = {key: value for key, value in trained.meta.items() if key not in _STALE}
    result = train(
        cache,
        tables,
        config,
        _options(tuning, trained.meta, material.seed),
        material.folder,
        about={**unchanged, "tuned": _about(recipe, pruned, material.teachers)},
        teachers=teachers or Teachers([network], kind),
        initialize=initialize,
        report=report,
    )
    return checkpoint_network(load_checkpoint(result.checkpoint))


def _options(tuning: Tuning, meta: Mapping[str, Any], seed: int) -> TrainOptions:
    """Return how to fine-tune: windows are drawn and augmented as they were for the network's own training."""
    return TrainOptions(
        epochs=tuning.epochs,
        patience=tuning.epochs,
        crops_per_track=tuning.crops_per_track,
        learning_rate=tuning.learning_rate,
        augment=_augment(meta),
        average=_AVERAGE if tuning.fake_quantized else 0.0,  # rounding is noise: its gradient needs averaging
        teacher_weight=tuning.teacher_weight,
        seed=seed,
    )


def _augment(meta: Mapping[str, Any]) -> AugmentConfig:
    """Return the augmentation of the network's own training; raises :class:`UsageError` if its record is damaged."""
    options = meta.get("options", {})
    try:
        return AugmentConfig(**options.get("augment", {}))
    except (AttributeError, TypeError) as error:
        raise UsageError("the checkpoint's record of its augmentation is damaged: train the network again") from error


def _about(recipe: Recipe, pruned: Pruned | None, teachers: Sequence[Path]) -> dict[str, Any]:
    """Return what was done to the network, for the record."""
    tuning = {} if recipe.tuning is None else dataclasses.asdict(recipe.tuning)
    figures = ("ratio", "macs_before", "macs_after", "parameters_before", "parameters_after")
    cut = {} if pruned is None else {name: getattr(pruned, name) for name in figures}
    return {"recipe": recipe.name, **tuning, "teachers": [str(path) for path in teachers], **cut}
