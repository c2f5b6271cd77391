"""``edgegenre train --head``: a head over the windows of whole tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgegenre_runtime.errors import UsageError

from ..common import check_run_folder, command_line, features_of, make_folder, needs

if TYPE_CHECKING:
    from edgegenre.data.feature_cache import FeatureCache
    from edgegenre.train.sequence_head.options import HeadOptions
    from edgegenre_runtime.frontend import Tables

__all__ = ["refuse_unused", "run_head_training"]

_TRAINING = ("epochs", "patience", "batch_size", "crops", "learning_rate", "weight_decay", "class_weights", "dropout")
_OF_HEADS = ("encoder", "encoder_rate", "head_width", "head_memory")
_USED = {*_TRAINING, *_OF_HEADS, "label_smoothing", "seed", "data", "out", "head", "overwrite", "split", "strict"}


def refuse_unused(context: typer.Context, head: str | None, encoder: Path | None) -> None:
    """Raise :class:`UsageError` for options of heads without one, for others with one, and for a head alone."""
    given = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if head is None:
        extra = [name for name in given if name in _OF_HEADS]
        if extra:
            raise UsageError(f"{_flag(extra[0])} is for a head: add --head mean, attention, gru or transformer")
        return
    unused = [name for name in given if name not in _USED]
    if unused:
        raise UsageError(f"{_flag(unused[0])} has no use with --head: leave it out")
    if encoder is None:
        raise UsageError("--head needs --encoder RUN: the trained network whose embeddings it takes")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def run_head_training(
    data: Path,
    encoder: Path,
    options: HeadOptions,
    out: Path,
    *,
    overwrite: bool,
    opening: Mapping[str, Any],
) -> None:
    """Train a head and print what became of it; ``opening`` are the keywords of :func:`.common.features_of`."""
    from edgegenre.checkpoint import load_checkpoint
    from edgegenre_runtime.frontend import released

    loaded = load_checkpoint(encoder)
    if loaded.task.kind != "single":
        raise UsageError(
            f"{encoder}: gives several labels or a path; heads over windows are trained on encoders of one label alone"
        )
    tables = released(loaded.spec.name)
    check_run_folder(out, resume=False, overwrite=overwrite)
    own_features = out / "features.npz"
    features = data if data.suffix == ".npz" else own_features
    cache = features_of(data, tables, own_features, **opening)
    if cache.classes != loaded.labels:
        raise UsageError(
            f"{data} has classes {', '.join(cache.labels)}; the encoder has {', '.join(loaded.labels)}: train the head "
            "on the encoder's classes"
        )
    cache.require_single("a head over windows")
    _require_sequences(cache, tables, data)
    make_folder(out)
    about = {
        "data": str(data),
        "features": str(features.resolve()),
        "command": command_line(),
        "encoder": str(encoder),
    }
    with needs("train"):
        from edgegenre.train.sequence_head.loop import train_head

        result = train_head(cache, tables, loaded, options, out, about=about, report=typer.echo)
    for what, scores in ((f"{out}: head {options.kind}", result.valid), ("mean over windows", result.mean_of_windows)):
        summary = scores.summary()
        low, high = summary["track_accuracy_95"]
        typer.echo(
            f"{what}: validation accuracy {summary['track_accuracy']:.3f} of {summary['n_tracks']} tracks (95 % "
            f"interval {low:.3f} to {high:.3f})"
        )


def _require_sequences(cache: FeatureCache, tables: Tables, data: Path) -> None:
    """Raise :class:`UsageError` where no training track has two windows, and warn where some have not."""
    import numpy as np

    from edgegenre.data.windows import window_hop_frames

    spec = tables.spec
    least = spec.frames_per_window + window_hop_frames(spec.frames_per_window)
    tracks = cache.tracks_of("train")
    is_short = np.diff(cache.offsets)[tracks] < least
    if is_short.all():
        raise UsageError(
            f"{data}: no training track has two windows ({least * spec.hop_samples / spec.sample_rate_hz:.1f} s), so "
            "that there is no sequence to learn: give longer tracks, or train the network alone, without --head"
        )
    if is_short.any():
        typer.echo(f"{data}: {is_short.sum()} of {len(tracks)} training tracks are a single window", err=True)
