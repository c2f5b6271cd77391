"""A training run, from a feature cache to the best checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import platform
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import DataLoader

from edgegenre.checkpoint import Checkpoint, load_checkpoint, to_module
from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.scoring import TrackScores, score_windows, torch_predictor
from edgegenre.models import ModelConfig, Network, build
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.network.task import Task

from .batches import Batches, SoftTargets
from .callbacks import EpochEnd
from .distill import Teachers
from .lightning_module import TrainModule
from .loggers import LoggerName, make_logger, plot_history
from .losses import make_loss
from .options import Hardware, TrainOptions
from .resume import RunState, load_state

__all__ = ["TrainResult", "check_tracks", "is_first_process", "train"]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training run: the best checkpoint, its epoch, its validation scores, and its task."""

    checkpoint: Path
    best_epoch: int
    epochs_run: int
    valid: TrackScores
    task: Task


def train(
    cache: FeatureCache,
    tables: Tables,
    config: ModelConfig,
    options: TrainOptions,
    out: Path,
    *,
    about: dict[str, Any],
    hardware: Hardware | None = None,
    teachers: Teachers | None = None,
    soft: SoftTargets | None = None,
    also_validate: Sequence[FeatureCache] = (),
    initialize: Callable[[Network], None] | None = None,
    resume: bool = False,
    logger: LoggerName = "none",
    progress_bar: bool = False,
    report: Callable[[str], None] = print,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> TrainResult:
    """Train a network on the cache's training tracks and save the epoch that is best on its validation tracks.

    Parameters
    ----------
    cache
        Log-mel frames with a split.
    tables
        The front-end that made them.
    config, options, hardware
        What to train, how, and on what (by default one device).
    out
        Folder for ``best.safetensors``, ``best.json``, ``last.safetensors`` (what ``resume`` continues from),
        ``history.json`` and ``curves.png``.
    about
        JSON-ready facts for the checkpoint's ``meta``: ``data``, ``command``, ``weights``.
    teachers
        Networks to learn from, of the same front-end and classes (:func:`.distill.load_teachers`).
    soft
        What a teacher thinks of the training tracks, and of tracks without labels (:mod:`.soft_labels`).
    also_validate
        Further data sets of the same front-end and classes: the best epoch is that with the highest mean of the
        accuracies on the validation tracks of all of them.
    initialize
        Called with the new network, to put published weights into it.
    resume
        Continue the run in ``out`` as if it had never stopped; start a new one where there is none.
    logger, progress_bar, report
        Where curves go, whether to draw Lightning's bar; without it ``report`` is called with one line per epoch.
    on_epoch
        Called with the row of the history after each epoch; an exception ends the run.

    Raises
    ------
    DataError
        If there is no training or validation track, or a class has no training track.
    UsageError
        If loss or validation stop being finite, or a run is resumed with other options than it was started with.
    """
    hardware = hardware if hardware is not None else Hardware()
    _check_hardware(hardware, options)
    check_tracks(cache)
    if soft is not None:
        cache.require_single("training on soft labels")
    batches = Batches(cache, cache.tracks_of("train"), tables, options, soft)
    identity = _identity(cache, tables, config, options, hardware, teachers, str(about.get("weights", "")))
    identity["soft labels"] = "" if soft is None else _digest([soft.labeled, soft.unlabeled])
    identity["also validated on"] = [_digest([other.frames, other.y, other.split]) for other in also_validate]
    state = _starting_state(out, identity, resume, report)
    torch.manual_seed(options.seed)
    network = build(config)
    if initialize is not None and state is None:
        initialize(network)
        network.train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster; missing in torch's stubs
    if state is not None:
        network.load_state_dict(state.network)
        batches.epoch = len(state.history)
    meta = {**about, "options": dataclasses.asdict(options), "versions": _versions()}
    task = cache.task()
    checkpoint = Checkpoint(config, task.labels, tables.spec, tables.spec_hash, {}, meta, task)
    on_line = None if progress_bar else report
    epoch_end = EpochEnd(batches, checkpoint, out, identity, state, on_line, on_epoch, also_validate)
    if not epoch_end.is_done():
        module = TrainModule(network, make_loss(cache, options), options, len(epoch_end.history), teachers)
        trainer = _trainer(options, hardware, len(epoch_end.history), epoch_end, make_logger(logger, out), out)
        loader = DataLoader(batches, batch_size=None, num_workers=hardware.workers)
        _run(trainer, module, loader)
    if not epoch_end.history:
        raise UsageError("training was stopped before the first epoch ended: no checkpoint was written")
    if is_first_process():
        plot_history(epoch_end.history, epoch_end.best_epoch, out / "curves.png")
    best = out / "best.safetensors"
    saved = load_checkpoint(best)
    predict = torch_predictor(to_module(saved), tables.spec.top_db, saved.task)
    valid = score_windows(predict, epoch_end.windows, epoch_end.truth, saved.task)
    return TrainResult(best, epoch_end.best_epoch, len(epoch_end.history), valid, saved.task)


def is_first_process() -> bool:
    """Return whether this is the process of rank zero, which writes files and prints."""
    return getattr(rank_zero_only, "rank", None) in (None, 0)


def _run(trainer: lightning.Trainer, module: TrainModule, loader: DataLoader[Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # the teachers
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        try:
            trainer.fit(module, loader)
        except SystemExit as error:  # Lightning turns Ctrl-C into this; the best checkpoint is on disk
            raise KeyboardInterrupt from error


def _trainer(
    options: TrainOptions,
    hardware: Hardware,
    epochs_done: int,
    epoch_end: EpochEnd,
    logger: Any,
    out: Path,
) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no hardware lists, no advertisements
    return lightning.Trainer(
        max_epochs=options.epochs - epochs_done,
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=hardware.strategy,
        precision=options.precision,
        callbacks=[epoch_end],
        logger=logger if logger is not None else False,
        enable_checkpointing=False,
        enable_progress_bar=epoch_end.report is None,
        enable_model_summary=False,
        default_root_dir=out,
        log_every_n_steps=1,
    )


def _check_hardware(hardware: Hardware, options: TrainOptions) -> None:
    is_parallel = hardware.devices != 1 or hardware.nodes > 1
    if is_parallel and options.freeze_epochs:
        raise UsageError("frozen epochs need one device: parallel training fixes what is trained when it starts")


def check_tracks(cache: FeatureCache) -> None:
    """Raise :class:`DataError` without validation tracks, or where a class has no training track."""
    counts = cache.membership()[cache.tracks_of("train")].sum(axis=0)
    empty = [name for name, count in zip(cache.labels, counts, strict=True) if not count and name in cache.classes]
    if not len(cache.tracks_of("valid")) or empty:
        raise DataError(
            f"training needs validation tracks and tracks of every class; none for: {empty or 'validation'}"
        )


def _starting_state(
    out: Path, identity: dict[str, Any], resume: bool, report: Callable[[str], None]
) -> RunState | None:
    """Return what to continue from; without ``resume`` an earlier run's state is removed."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "last.safetensors"
    if not resume:
        path.unlink(missing_ok=True)
        return None
    if not os.path.exists(path):
        report(f"{out}: nothing to resume, the run starts at epoch 1")
        return None
    state = load_state(path, identity)
    report(f"{out}: resumed after epoch {len(state.history)}")
    return state


def _identity(
    cache: FeatureCache,
    tables: Tables,
    config: ModelConfig,
    options: TrainOptions,
    hardware: Hardware,
    teachers: Teachers | None,
    weights: str,
) -> dict[str, Any]:
    """Return everything that determines the weights, JSON-ready."""
    data: list[npt.NDArray[Any]] = [cache.offsets, cache.y, cache.split, cache.frames]
    data += [] if cache.members is None else [cache.members]
    return {
        **dataclasses.asdict(options),
        "model": config.to_dict(),
        "data": _digest(data) + " " + ", ".join(cache.labels),
        "weights": weights,
        "front-end": tables.spec_hash,
        "devices": hardware.devices * hardware.nodes,
        "teachers": "" if teachers is None else _digest([t.numpy() for t in teachers.state_dict().values()]),
    }


def _digest(arrays: list[npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "lightning": lightning.__version__, "python": platform.python_version()}
