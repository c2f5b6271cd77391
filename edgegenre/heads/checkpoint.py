"""A trained head: ``head.safetensors`` and ``head.json`` beside the checkpoint of the encoder that it was trained on.

The JSON holds the SHA-256 of both files of weights, so that a head is never used with another encoder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from edgegenre.checkpoint import Checkpoint, checkpoint_files
from edgegenre_runtime.atomic_write import write_together
from edgegenre_runtime.errors import BundleError, CheckpointError
from edgegenre_runtime.file_formats import parse_json
from edgegenre_runtime.network.head import Head, HeadConfig

from .head_path import HEAD_NAME, find_head

__all__ = ["FORMAT_VERSION", "TrainedHead", "load_head", "save_head"]

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class TrainedHead:
    """A trained head.

    Attributes
    ----------
    config
        What it is.
    weights
        The tensors of :attr:`HeadConfig.weights`.
    meta
        JSON-ready: training data, options, metrics with the command that made them.
    """

    config: HeadConfig
    weights: dict[str, npt.NDArray[np.float32]]
    meta: dict[str, Any]

    def head(self) -> Head:
        """Return the head in NumPy, as a device runs it."""
        return Head(self.config, self.weights)


def save_head(run: Path, trained: TrainedHead, encoder: Checkpoint) -> None:
    """Write encoder and head into the folder of a run, all four files together."""
    files = checkpoint_files(run / "best.safetensors", encoder)
    weights = save_tensors({name: array.copy(order="C") for name, array in trained.weights.items()})
    about = {
        "format_version": FORMAT_VERSION,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "encoder_sha256": hashlib.sha256(files[run / "best.safetensors"]).hexdigest(),
        "config": trained.config.to_dict(),
        "meta": trained.meta,
    }
    files |= {run / "head.safetensors": weights, run / HEAD_NAME: json.dumps(about, indent=1).encode()}
    run.mkdir(parents=True, exist_ok=True)
    write_together(files)


def load_head(checkpoint: Path) -> TrainedHead | None:
    """Read the head that belongs to a checkpoint; None if it has none.

    Raises
    ------
    CheckpointError
        If the head is damaged, of another version, or was trained on another encoder.
    """
    path = find_head(checkpoint)
    if path is None:
        return None
    try:
        about, weights = parse_json(path.read_bytes()), path.with_suffix(".safetensors").read_bytes()
        encoder = path.with_name("best.safetensors").read_bytes()
        version, digest, expected = (about[key] for key in ("format_version", "sha256", "encoder_sha256"))
        if version != FORMAT_VERSION:
            raise CheckpointError(f"{path} is of format {version}; this edgegenre reads {FORMAT_VERSION}")
        if hashlib.sha256(encoder).hexdigest() != expected:
            raise CheckpointError(
                f"{path} was trained on another encoder than best.safetensors beside it: train it again"
            )
        if hashlib.sha256(weights).hexdigest() != digest:
            raise CheckpointError(f"{path.with_suffix('.safetensors')} does not match the hash in {path.name}")
        trained = TrainedHead(HeadConfig.from_dict(about["config"]), load_tensors(weights), dict(about["meta"]))
        trained.head()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read {error.filename} ({error.strerror})") from error
    except (BundleError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return trained
