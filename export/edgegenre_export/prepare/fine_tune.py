"""Pruning and fine-tuning of a checkpoint, as a recipe says, with the project's own trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgegenre.augment.spectrogram import AugmentConfig
from edgegenre.checkpoint import Checkpoint, load_checkpoint, to_module
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.models import Network
from edgegenre.train import TrainOptions, train
from edgegenre.train.distill import Teachers, load_teachers
from edgegenre_export.recipes import Recipe, Tuning
from edgegenre_runtime.errors import ExportError, UsageError
from edgegenre_runtime.frontend import Tables

from .fake_quant import fake_quantize
from .prune import prune

__all__ = ["fine_tune"]

_AVERAGE = 0.98
_STALE = ("metrics", "valid", "best_epoch", "options", "versions", "tuned")


def fine_tune(
    checkpoint: Checkpoint,
    cache: FeatureCache,
    tables: Tables,
    recipe: Recipe,
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Checkpoint:
    """Prune a network if the recipe says so and fine-tune it on the cache's training tracks.

    The best epoch by the validation tracks is kept.

    Parameters
    ----------
    checkpoint
        The trained network.
    cache, tables
        The features that it was trained on, and their front-end.
    recipe
        With a ``tuning``.
    out
        Folder of the fine-tuning run; ``best.safetensors`` in it is what is returned.
    teachers
        Checkpoints or runs whose answers it learns; the network as it was if there are none.
    seed
        Seed of crops and dropout.
    report
        Called with a line for the pruning and one an epoch.

    Raises
    ------
    UsageError
        If the recipe has no tuning, or the cache or a teacher has other classes than the checkpoint.
    SpecError
        If a teacher was trained with another front-end.
    DataError
        If the cache has no training or validation tracks.
    ExportError
        If the network cannot be pruned that far.
    """
    tuning = recipe.tuning
    if tuning is None:
        raise UsageError(f"recipe {recipe.name} has no fine-tuning")
    if cache.labels != checkpoint.labels:
        raise UsageError(
            f"fine-tuning data has classes {', '.join(cache.labels)}, the checkpoint {', '.join(checkpoint.labels)}: "
            "give the data that it was trained on"
        )
    loaded = load_teachers(teachers, tables, cache.labels)
    network = to_module(checkpoint)
    if not isinstance(network, Network):
        raise ExportError(f"{checkpoint.config.name} cannot be fine-tuned: it does not know its parts")
    config, start, about = checkpoint.config, network, _about(tuning, recipe.name)
    about |= {"teachers": [str(path) for path in teachers]}
    if tuning.removed_macs:
        smaller = prune(network, config, tables.spec, tuning.removed_macs)
        config, start = smaller.config, smaller.network
        figures = ("ratio", "macs_before", "macs_after", "parameters_before", "parameters_after")
        about |= {name: getattr(smaller, name) for name in figures}
        report(
            f"pruned: {smaller.macs_before / 1e6:.1f} → {smaller.macs_after / 1e6:.1f} million multiply-adds, "
            f"{smaller.parameters_before:,} → {smaller.parameters_after:,} parameters"
        )

    def initialize(fresh: Network) -> None:
        fresh.load_state_dict(start.state_dict())
        if tuning.fake_quantized:
            fake_quantize(fresh)

    kept = {key: value for key, value in checkpoint.meta.items() if key not in _STALE}
    result = train(
        cache,
        tables,
        config,
        _options(tuning, checkpoint, seed),
        out,
        about={**kept, "tuned": about},
        teachers=loaded or Teachers([network]),
        initialize=initialize,
        report=report,
    )
    return load_checkpoint(result.checkpoint)


def _options(tuning: Tuning, checkpoint: Checkpoint, seed: int) -> TrainOptions:
    """Return how to fine-tune: windows are drawn and altered as they were for the checkpoint's own training."""
    trained = checkpoint.meta.get("options", {})
    return TrainOptions(
        epochs=tuning.epochs,
        patience=tuning.epochs,
        crops_per_track=tuning.crops_per_track,
        learning_rate=tuning.learning_rate,
        augment=AugmentConfig(**trained.get("augment", {})),
        average=_AVERAGE if tuning.fake_quantized else 0.0,  # rounding is noise: its gradient needs averaging
        teacher_weight=tuning.teacher_weight,
        seed=seed,
    )


def _about(tuning: Tuning, recipe: str) -> dict[str, Any]:
    return {"recipe": recipe, **dataclasses.asdict(tuning)}
