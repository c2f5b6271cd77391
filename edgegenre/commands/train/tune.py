"""``edgegenre tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..common import Spec, check_output, needs

__all__ = ["tune"]


def tune(
    features: Annotated[Path, typer.Argument(help="Feature cache (.npz) with a split.")],
    storage: Annotated[Path, typer.Option(help="SQLite file of the study; an existing one is continued.")],
    trials: Annotated[int, typer.Option(help="Number of finished trials to reach.", min=1)] = 30,
    model: Annotated[str, typer.Option(help="Network, one of those that `edgegenre models` lists.")] = "cnn",
    spec: Spec = "wide9s",
    epochs: Annotated[int, typer.Option(help="Maximum number of epochs of a trial.", min=1)] = 30,
    patience: Annotated[int, typer.Option(help="Epochs without a better result before training stops.", min=1)] = 20,
    batch_size: Annotated[int, typer.Option(help="Windows per step.", min=1)] = 32,
    crops: Annotated[int, typer.Option(help="Random windows per track and epoch.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
) -> None:
    """Search for learning rate, weight decay, label smoothing, augmentation and weight average, on validation alone.

    Example: `edgegenre tune music.npz --storage tune.db --trials 30`
    """
    from edgegenre.data.feature_cache import load_cache
    from edgegenre.models import ModelConfig, check_name
    from edgegenre.train import TrainOptions
    from edgegenre_runtime.frontend import released

    options = TrainOptions(epochs=epochs, patience=patience, batch_size=batch_size, crops_per_track=crops, seed=seed)
    check_name(model)
    check_output(storage)
    tables = released(spec)
    cache = load_cache(features, tables)
    with needs("tune"):
        from edgegenre.train.search import tune as run
    best = run(cache, tables, ModelConfig(model, len(cache.classes)), options, storage, trials, typer.echo)
    typer.echo(
        f"{storage}: best of {best.n_finished} trials is {best.number + 1}, validation {best.figure_name} "
        f"{best.valid_figure:.3f}\nedgegenre train {features} --model {model} --spec {spec} --epochs {epochs} "
        f"--patience {patience} --batch-size {batch_size} --crops {crops} --seed {seed} {best.train_arguments()}"
    )
