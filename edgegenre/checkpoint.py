"""Checkpoints: weights as ``NAME.safetensors``, everything else as ``NAME.json`` beside it. No pickle.

The JSON holds the SHA-256 of the weights: a pair is whole when that is the hash of the file beside it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from edgegenre_runtime.atomic_write import write_together
from edgegenre_runtime.errors import CheckpointError, EdgeGenreError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.network.task import ONE_LABEL, Task, make_task, task_from_dict

from .models import ModelConfig, build

if TYPE_CHECKING:
    from .models import Network

__all__ = [
    "FORMAT_VERSION",
    "Checkpoint",
    "checkpoint_files",
    "default_checkpoint",
    "load_checkpoint",
    "save_checkpoint",
    "to_module",
]

FORMAT_VERSION = 1
_TASK_VERSION = 2  # with a task, which an older edgegenre would take for a softmax


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network.

    Attributes
    ----------
    config
        What the network is.
    labels
        Class names in the order of the logits; of a hierarchy the label paths of its leaves.
    spec, spec_hash
        The front-end that its windows come from.
    state
        torch ``state_dict`` as NumPy arrays.
    meta
        JSON-ready: training data, metrics with the command that made them, seed, versions.
    task
        What the logits mean, with its thresholds; one label of several if it is not given.
    """

    config: ModelConfig
    labels: tuple[str, ...]
    spec: FrontendSpec
    spec_hash: str
    state: dict[str, npt.NDArray[Any]]
    meta: dict[str, Any]
    task: Task = ONE_LABEL

    def __post_init__(self) -> None:
        if self.task.kind == "single":
            object.__setattr__(self, "task", make_task("single", self.labels))


def default_checkpoint() -> Path:
    """Return the path of the checkpoint that ships with the package."""
    return Path(__file__).parent / "default" / "temporal.safetensors"


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path`` (``*.safetensors``) and the JSON beside it, replaced together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_together(checkpoint_files(path, checkpoint))


def checkpoint_files(path: Path, checkpoint: Checkpoint) -> dict[Path, bytes]:
    """Return the files of a checkpoint, ``path`` and the JSON beside it, with their content."""
    weights = save_tensors({name: array.copy(order="C") for name, array in checkpoint.state.items()})
    about = {
        "format_version": FORMAT_VERSION if checkpoint.task.kind == "single" else _TASK_VERSION,
        **checkpoint.task.to_dict(),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "config": checkpoint.config.to_dict(),
        "labels": list(checkpoint.labels),
        "spec": checkpoint.spec.to_dict(),
        "spec_hash": checkpoint.spec_hash,
        "meta": checkpoint.meta,
    }
    return {path: weights, path.with_suffix(".json"): json.dumps(about, indent=1).encode()}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path
        The ``.safetensors`` file, the ``.json`` beside it, or the folder of a training run.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, of another version, or the two do not belong together.
    """
    weights_path = (path / "best.safetensors" if os.path.isdir(path) else path).with_suffix(".safetensors")
    about_path = weights_path.with_suffix(".json")
    try:
        content, weights = about_path.read_bytes(), weights_path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {path}: {_what_it_is(path)}cannot read {error.filename} ({error.strerror}); a checkpoint is a "
            ".safetensors file with its .json beside it, or the folder of a training run"
        ) from error
    try:
        about = parse_json(content)
    except ValueError as error:
        raise CheckpointError(f"checkpoint {about_path} is not JSON: the file is damaged") from error
    version = about.get("format_version") if isinstance(about, dict) else None
    if version not in (FORMAT_VERSION, _TASK_VERSION):
        raise CheckpointError(
            f"checkpoint {about_path} is of format {version}; this edgegenre reads {FORMAT_VERSION} and {_TASK_VERSION}"
        )
    if hashlib.sha256(weights).hexdigest() != about.get("sha256"):
        raise CheckpointError(
            f"checkpoint {weights_path} does not match the hash in {about_path.name}: copy both again"
        )
    try:
        checkpoint = Checkpoint(
            config=ModelConfig.from_dict(about["config"]),
            labels=_labels(about["labels"]),
            spec=FrontendSpec.from_dict(about["spec"]),
            spec_hash=about["spec_hash"],
            state=load_tensors(weights),
            meta=about["meta"],
            task=task_from_dict(about, _labels(about["labels"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError, SafetensorError, EdgeGenreError) as error:
        raise CheckpointError(f"checkpoint {about_path} is damaged: {error}") from error
    _check(checkpoint, about_path)
    return checkpoint


def _what_it_is(path: Path) -> str:
    """Return what was given in a checkpoint's place, as the beginning of a sentence; empty for anything else."""
    if os.path.isfile(path / "manifest.json"):
        return "this is a bundle, made of a checkpoint: "
    return "this is a feature cache; the model comes before the data: " if path.suffix == ".npz" else ""


def _check(checkpoint: Checkpoint, path: Path) -> None:
    """Refuse a checkpoint whose values are of other types than its attributes; raises :class:`CheckpointError`."""
    if len(set(checkpoint.labels)) != len(checkpoint.labels):
        raise CheckpointError(f"checkpoint {path} is damaged: labels are there twice: {list(checkpoint.labels)}")
    meta = checkpoint.meta
    if not isinstance(checkpoint.spec_hash, str) or not isinstance(meta, dict):
        raise CheckpointError(f"checkpoint {path} is damaged: spec_hash must be text and meta an object")
    metrics, options = meta.get("metrics", {}), meta.get("options", {})
    parts = [metrics, *(metrics.values() if isinstance(metrics, dict) else ()), options]
    if isinstance(options, dict):
        parts.append(options.get("augment", {}))
    if not all(isinstance(part, dict) for part in parts):
        raise CheckpointError(f"checkpoint {path} is damaged: metrics and options in its meta must be objects")


def _labels(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("its labels are not a list of text")
    return tuple(values)


def to_module(checkpoint: Checkpoint) -> Network:
    """Return the network with its weights, in eval mode; raises :class:`CheckpointError` if they do not fit."""
    if len(checkpoint.labels) != checkpoint.config.n_classes:
        raise CheckpointError(
            f"checkpoint has {len(checkpoint.labels)} labels but {checkpoint.config.n_classes} outputs: it is damaged"
        )
    bad = sorted(name for name, array in checkpoint.state.items() if not np.isfinite(array).all())
    if bad:
        raise CheckpointError(f"checkpoint holds NaN or infinite weights in {bad[0]}: train again, this run diverged")
    import torch

    try:
        module = build(checkpoint.config)
        module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in checkpoint.state.items()})
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"checkpoint weights do not fit model {checkpoint.config.name!r}") from error
    return module.eval()
