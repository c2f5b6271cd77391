"""Where a run's curves go: TensorBoard or Weights & Biases where they are installed, JSON and PNG always."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from edgegenre.evaluate.metrics.multi_label import mean_average_precision
from edgegenre.evaluate.scoring import TrackScores
from edgegenre.figures import write_png
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import MissingExtraError
from edgegenre_runtime.network.task import Task, TaskKind

__all__ = [
    "LoggerName",
    "figure_name_of",
    "figure_of",
    "has_tensorboard",
    "make_logger",
    "plot_history",
    "save_history",
    "valid_figures",
    "valid_key",
]

_FIGURES = ("valid_accuracy", "valid_mean_average_precision")

LoggerName = Literal["tensorboard", "wandb", "none"]


def valid_key(task: Task) -> str:
    """Return what the validation figure that decides on the best epoch is called in a history."""
    return _FIGURES[task.kind == "multi"]


def figure_name_of(kind: TaskKind) -> str:
    """Return what that figure is called in a sentence."""
    return "mean average precision" if kind == "multi" else "accuracy"


def figure_of(task: Task, scores: TrackScores) -> float:
    """Return that figure: the accuracy of the tracks, or of several labels the mean average precision."""
    if task.kind == "multi":
        return mean_average_precision(scores.probabilities, scores.truth)
    return scores.track_accuracy


def valid_figures(row: Mapping[str, float]) -> list[float]:
    """Return the figure on each data set that is validated on, the training's own first."""
    return [value for key, value in row.items() if key.startswith(_FIGURES)]


def has_tensorboard() -> bool:
    """Return whether TensorBoard's writer is installed."""
    return find_spec("tensorboard") is not None


def make_logger(name: LoggerName, out: Path) -> Any:
    """Return Lightning's logger, or none where TensorBoard, the default, is not installed.

    Weights & Biases takes its settings from the environment; ``WANDB_MODE=offline`` needs no network.

    Raises
    ------
    MissingExtraError
        If Weights & Biases is asked for and not installed.
    """
    if name == "wandb":
        if find_spec("wandb") is None:
            raise MissingExtraError("wandb", "wandb")
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(project="edgegenre", name=out.name, save_dir=out)
    if name == "tensorboard" and has_tensorboard():
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard", version="")
    return None


def save_history(history: Sequence[dict[str, float]], path: Path) -> None:
    """Write one row per epoch as JSON, whole or not at all; raises :class:`DataError` if that fails."""
    with written_beside(path) as handle:
        handle.write(json.dumps(list(history), indent=1).encode())


def plot_history(history: Sequence[dict[str, float]], best_epoch: int, path: Path) -> None:
    """Draw loss and validation accuracy over the epochs into a PNG; raises :class:`DataError` if that fails."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for key in ("train_loss", "valid_loss"):
        left.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    key = next(key for key in history[0] if key.startswith(_FIGURES))
    right.plot(epochs, [row[key] for row in history], label=f"{key.replace('_', ' ')} (tracks)")
    for axes in (left, right):
        axes.axvline(best_epoch, color="gray", linestyle=":", label="best epoch")
        axes.set_xlabel("epoch")
        axes.legend()
    write_png(figure, path)
