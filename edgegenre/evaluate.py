"""Evaluation of a checkpoint, or of a bundle's int8 network, on one part of a feature cache."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import DataError, SpecError, released

from .checkpoint import load_checkpoint, save_checkpoint, to_module
from .features import load_cache
from .scoring import Predictor, TrackScores, score_tracks, torch_predictor

__all__ = ["evaluate", "record_metrics"]


def evaluate(model: Path, features: Path, part: str) -> TrackScores:
    """Score a model on a part of a data set.

    Parameters
    ----------
    model
        A bundle (folder with ``manifest.json``, or ``.zip``), else a checkpoint.
    features
        Feature cache with a split, of the model's front-end.
    part
        ``"train"``, ``"valid"`` or ``"test"``.

    Raises
    ------
    DataError
        If the cache has other classes than the model, another front-end, or no track in ``part``.
    """
    labels: tuple[str, ...]
    if model.suffix == ".zip" or (model / "manifest.json").exists():
        classifier = GenreClassifier.load(model)
        labels, tables, predict = classifier.labels, classifier.tables, _bundle_predictor(classifier)
    else:
        checkpoint = load_checkpoint(model)
        labels, tables = checkpoint.labels, released(checkpoint.spec.name)
        if tables.spec_hash != checkpoint.spec_hash:
            raise SpecError(f"{model}: trained with other front-end tables than this edgegenre's: train it again")
        predict = torch_predictor(to_module(checkpoint), tables.spec.top_db)
    cache = load_cache(features, tables)
    if cache.labels != labels:
        raise DataError(f"{features}: has classes {', '.join(cache.labels)}, the model has {', '.join(labels)}")
    tracks = cache.tracks_of(part)
    if not len(tracks):
        raise DataError(f"{features}: no tracks in part {part!r}: split the data set first")
    return score_tracks(predict, cache, tracks, tables)


def _bundle_predictor(classifier: GenreClassifier) -> Predictor:
    def predict(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        return np.stack([classifier.probabilities(one) for one in cells])

    return predict


def record_metrics(path: Path, part: str, figures: dict[str, Any], command: str) -> None:
    """Write scores and the command that measured them into a checkpoint, from where they reach card and manifest."""
    checkpoint = load_checkpoint(path)
    metrics = {**checkpoint.meta.get("metrics", {}), part: {**figures, "command": command}}
    weights = (path / "best.safetensors" if path.is_dir() else path).with_suffix(".safetensors")
    save_checkpoint(weights, dataclasses.replace(checkpoint, meta={**checkpoint.meta, "metrics": metrics}))
