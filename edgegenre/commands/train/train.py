"""``edgegenre train``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgegenre_runtime.errors import UsageError, install_command

from ..common import Levels, Spec, check_run_folder, command_line, features_of, make_folder, needs, require_installed
from .train_head import refuse_unused, run_head_training

if TYPE_CHECKING:
    from edgegenre.data.feature_cache import FeatureCache
    from edgegenre.models import Network
    from edgegenre.train import TrainResult
    from edgegenre.train.batches import SoftTargets
    from edgegenre_runtime.frontend import Tables

__all__ = ["train"]

_FINE_TUNING, _DISTILLATION, _HARDWARE = "Fine-tuning", "Distillation", "Hardware and logs"
_HEADS = "Heads over windows"


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Feature cache (.npz), folder with one sub-folder per class, or CSV.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/MODEL.")] = None,
    model: Annotated[str, typer.Option(help="Network, one of those that `edgegenre models` lists.")] = "cnn",
    pool: Annotated[str, typer.Option(help="From features to a vector: mean or attention (cnn, compact).")] = "mean",
    spec: Spec = "wide9s",
    epochs: Annotated[int, typer.Option(help="Maximum number of epochs.", min=1)] = 60,
    patience: Annotated[int, typer.Option(help="Epochs without a better result before training stops.", min=1)] = 20,
    batch_size: Annotated[int, typer.Option(help="Windows per step.", min=1)] = 32,
    crops: Annotated[int, typer.Option(help="Random windows per track and epoch.", min=1)] = 4,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    weight_decay: Annotated[float, typer.Option(help="Decoupled weight decay.")] = 1e-4,
    class_weights: Annotated[bool, typer.Option(help="Weight classes by inverse frequency.")] = True,
    dropout: Annotated[
        float, typer.Option(help="Probability of dropping a unit in front of the head.", min=0, max=0.9)
    ] = 0.5,
    label_smoothing: Annotated[float, typer.Option(help="Fraction of the target spread over all classes.")] = 0.0,
    augment: Annotated[str, typer.Option(help="Augmentation of training windows: none, light or strong.")] = "none",
    average: Annotated[float, typer.Option(help="Decay of the weight average, e.g. 0.99; 0: off.")] = 0.0,
    weights: Annotated[
        str | None, typer.Option(help="Published weights: file, https URL or `package`.", rich_help_panel=_FINE_TUNING)
    ] = None,
    keep_head: Annotated[
        bool,
        typer.Option(
            "--keep-head", help="Load the head too: weights of the same classes.", rich_help_panel=_FINE_TUNING
        ),
    ] = False,
    freeze_epochs: Annotated[
        int, typer.Option(help="First epochs in which only the head is trained.", min=0, rich_help_panel=_FINE_TUNING)
    ] = 0,
    freeze_norms: Annotated[
        bool,
        typer.Option(
            "--freeze-norms", help="Keep the running statistics of the batch norms.", rich_help_panel=_FINE_TUNING
        ),
    ] = False,
    layer_decay: Annotated[
        float,
        typer.Option(
            help="Ratio of learning rates, stage to the next one.",
            rich_help_panel=_FINE_TUNING,
        ),
    ] = 1.0,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint to distill from; repeat for more.", rich_help_panel=_DISTILLATION),
    ] = None,
    teacher_weight: Annotated[
        float, typer.Option(help="Fraction of the loss that comes from the teachers.", rich_help_panel=_DISTILLATION)
    ] = 0.7,
    temperature: Annotated[float, typer.Option(help="Of the soft targets.", rich_help_panel=_DISTILLATION)] = 3.0,
    soft_labels: Annotated[
        Path | None, typer.Option(help="File of `edgegenre soft-labels`.", rich_help_panel=_DISTILLATION)
    ] = None,
    soft_weight: Annotated[
        float, typer.Option(help="Fraction of the target that is the soft label.", rich_help_panel=_DISTILLATION)
    ] = 0.6,
    unlabeled: Annotated[
        Path | None,
        typer.Option(
            help="Cache of `data unlabeled`, whose tracks have soft labels alone.", rich_help_panel=_DISTILLATION
        ),
    ] = None,
    unlabeled_share: Annotated[
        float, typer.Option(help="Fraction of a batch that is unlabeled.", rich_help_panel=_DISTILLATION)
    ] = 0.3,
    also_validate: Annotated[
        list[Path] | None, typer.Option(help="Cache whose validation tracks count too, set by set; repeat for more.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Head over the windows of a track: mean, attention, gru or transformer.", rich_help_panel=_HEADS
        ),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Run or checkpoint whose embeddings the head takes.", rich_help_panel=_HEADS)
    ] = None,
    encoder_rate: Annotated[
        float, typer.Option(help="Learning rate of the encoder; 0: it is frozen.", rich_help_panel=_HEADS)
    ] = 0.0,
    head_width: Annotated[int, typer.Option(help="Units in the head.", rich_help_panel=_HEADS)] = 64,
    head_memory: Annotated[
        int, typer.Option(help="Windows that a transformer looks back on.", rich_help_panel=_HEADS)
    ] = 32,
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed"],
        typer.Option(help="Numeric precision; auto: mixed on a GPU with bfloat16.", rich_help_panel=_HARDWARE),
    ] = "auto",
    devices: Annotated[int, typer.Option(help="Devices per machine; -1: all.", rich_help_panel=_HARDWARE)] = 1,
    nodes: Annotated[int, typer.Option(help="Number of machines.", min=1, rich_help_panel=_HARDWARE)] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's strategy, e.g. ddp.", rich_help_panel=_HARDWARE)] = "auto",
    workers: Annotated[
        int, typer.Option(help="Processes that load windows; 0: none.", min=0, rich_help_panel=_HARDWARE)
    ] = 0,
    logger: Annotated[
        Literal["tensorboard", "wandb", "none"],
        typer.Option(help="Where curves are logged beside history.json.", rich_help_panel=_HARDWARE),
    ] = "tensorboard",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out after its last epoch.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in --out.")] = False,
    split: Annotated[Path | None, typer.Option(help="Split file for a folder or CSV.")] = None,
    levels: Levels = 1,
    taxonomy: Annotated[
        Path | None, typer.Option(help="CSV `label,parent` that makes a hierarchy of the data's plain labels.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at broken files instead of skipping them.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
) -> None:
    """Train a network; the checkpoint that is best on validation is saved as safetensors and JSON.

    Example: `edgegenre train music/ --model cnn --augment light --out runs/mine`

    With --head the network of --encoder stays as it is, and a head over the windows of a track is trained.

    Example: `edgegenre train music/ --head attention --encoder runs/mine --out runs/attention`
    """
    refuse_unused(context, head, encoder)
    from edgegenre.augment.spectrogram import augment_preset
    from edgegenre.data.feature_cache import save_cache
    from edgegenre.data.taxonomy_file import read_taxonomy, with_taxonomy
    from edgegenre.models import ModelConfig, check_name, check_pool
    from edgegenre.train import Hardware, TrainOptions
    from edgegenre_runtime.frontend import released

    # Arguments are checked before torch is imported, which takes seconds.
    require_installed("train", "torch", "lightning", "safetensors", "matplotlib")
    opening: dict[str, Any] = {"seed": seed, "split": split, "strict": strict, "levels": levels}
    if head is not None and encoder is not None:
        from edgegenre.train.sequence_head.options import HeadOptions

        head_options = HeadOptions(
            head, head_width, head_memory, encoder_rate, epochs, patience, batch_size, crops, learning_rate,
            weight_decay, dropout, label_smoothing, class_weights, seed,
        )  # fmt: skip
        place = out if out is not None else Path("runs") / head
        run_head_training(data, encoder, head_options, place, overwrite=overwrite, opening=opening)
        return
    options = TrainOptions(
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        crops_per_track=crops,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        layer_decay=layer_decay,
        freeze_epochs=freeze_epochs,
        freeze_norms=freeze_norms,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        augment=augment_preset(augment),
        average=average,
        teacher_weight=teacher_weight,
        temperature=temperature,
        soft_weight=soft_weight,
        unlabeled_share=unlabeled_share,
        seed=seed,
    )
    if unlabeled is not None and soft_labels is None:
        raise UsageError("--unlabeled needs --soft-labels: without them its tracks say nothing")
    hardware = Hardware(devices=devices, nodes=nodes, strategy=strategy, workers=workers)
    check_pool(check_name(model), pool)
    out = out if out is not None else Path("runs") / model
    tables = released(spec)
    weights_file = _check_sources(weights, teacher or ())
    check_run_folder(out, resume=resume, overwrite=overwrite)
    own_features = out / "features.npz"
    features = data if data.suffix == ".npz" else own_features
    source = own_features if resume and os.path.exists(own_features) else data
    if taxonomy is not None:
        read_taxonomy(taxonomy)  # what is wrong with it is said before hours of reading
    cache = features_of(source, tables, own_features, **opening)
    make_folder(out)
    if taxonomy is not None and not (resume and source == own_features):  # where it has been done before
        cache, features = with_taxonomy(cache, taxonomy), own_features
        save_cache(cache, features)
    if logger == "tensorboard" and find_spec("tensorboard") is None:
        typer.echo(
            f"tensorboard is not installed, curves go to history.json alone: {install_command('train')}", err=True
        )
    about = {
        "data": str(data),
        "features": str(features.resolve()),
        "command": command_line(),
        "weights": weights or "",
        "teachers": [str(path) for path in teacher or ()],
        "soft_labels": str(soft_labels or ""),
        "unlabeled": str(unlabeled or ""),
    }
    with needs("train"), _saying_how_to_resume(out):
        from edgegenre.train import is_first_process, load_teachers
        from edgegenre.train import train as run

        result = run(
            cache,
            tables,
            ModelConfig(model, len(cache.classes), dropout, pool=pool),
            dataclasses.replace(options, precision=_precision(precision)),
            out,
            about=about,
            hardware=hardware,
            initialize=_initializer(weights_file, keep_head),
            soft=_soft_targets(soft_labels, unlabeled, cache, tables),
            also_validate=[_same_classes(path, cache, tables) for path in also_validate or ()],
            teachers=load_teachers(teacher or (), tables, cache.classes, cache.task_kind),
            resume=resume,
            logger=logger,
            progress_bar=sys.stderr.isatty(),
            report=typer.echo,
        )
    if is_first_process():
        _print_result(result)


@contextlib.contextmanager
def _saying_how_to_resume(out: Path) -> Iterator[None]:
    """Let Ctrl-C pass, and say what goes on from there if an epoch was saved."""
    try:
        yield
    except KeyboardInterrupt:
        if os.path.exists(out / "last.safetensors"):
            typer.echo(f"{out}: stopped; the same command with --resume goes on behind its last epoch", err=True)
        raise


def _check_sources(weights: str | None, teachers: Sequence[Path]) -> Path | None:
    """Return the file of the weights, if any; raises what finding it and reading the teachers raises."""
    from edgegenre.checkpoint import load_checkpoint
    from edgegenre.weight_files import find_weights

    for path in teachers:
        load_checkpoint(path)
    return None if weights is None else find_weights(weights)


def _same_classes(path: Path, cache: FeatureCache, tables: Tables) -> FeatureCache:
    """Return another cache of the same classes; raises :class:`UsageError` for other ones."""
    from edgegenre.data.feature_cache import load_cache

    other = load_cache(path, tables)
    if (other.labels, other.task_kind) != (cache.labels, cache.task_kind) or not len(other.tracks_of("valid")):
        raise UsageError(f"{path}: has other classes than {', '.join(cache.labels)}, or no validation tracks")
    return other


def _soft_targets(
    soft_labels: Path | None, unlabeled: Path | None, cache: FeatureCache, tables: Tables
) -> SoftTargets | None:
    """Return what a file of soft labels says about the training tracks and about tracks without labels."""
    if soft_labels is None:
        return None
    import numpy as np

    from edgegenre.data.feature_cache import load_cache
    from edgegenre.train.batches import SoftTargets
    from edgegenre.train.frozen.soft_labels import load_soft_labels, soft_labels_of

    soft = load_soft_labels(soft_labels)
    labeled = soft_labels_of(soft, cache, cache.tracks_of("train"), cache.labels)
    if unlabeled is None:
        return SoftTargets(labeled, None, labeled[:0])
    other = load_cache(unlabeled, tables)
    return SoftTargets(labeled, other, soft_labels_of(soft, other, np.arange(len(other.names)), cache.labels))


def _initializer(weights_file: Path | None, keep_head: bool) -> Callable[[Network], None] | None:
    """Return what puts the weights into a new network and prints what became of them."""
    if weights_file is None:
        return None
    from edgegenre.pretrained import load_weights

    def initialize(network: Network) -> None:
        typer.echo(load_weights(network, weights_file, keep_head=keep_head).summary())

    return initialize


def _print_result(result: TrainResult) -> None:
    accuracy = result.valid.summary()
    low, high = accuracy["track_accuracy_95"]
    what = "validation accuracy" if result.task.kind != "multi" else "on validation all labels right for"
    typer.echo(
        f"{result.checkpoint}: epoch {result.best_epoch + 1} of {result.epochs_run}, {what} "
        f"{accuracy['track_accuracy']:.3f} of {accuracy['n_tracks']} tracks (95 % interval {low:.3f} to {high:.3f})"
    )
    if result.task.thresholds:
        fitted = ", ".join(f"{name} {value:.2f}" for name, value in result.task.thresholds.items())
        typer.echo(f"thresholds, fitted on validation: {fitted}")
    typer.echo(f"{result.checkpoint.parent / 'curves.png'}: loss and accuracy over the epochs")


def _precision(name: Literal["auto", "32-true", "bf16-mixed"]) -> Literal["32-true", "bf16-mixed"]:
    """Resolve ``auto`` for this machine."""
    if name != "auto":
        return name
    import torch

    return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
