"""Calibration of a checkpoint on validation tracks: how sure it says it is, and when it says that it does not know.

Three things are fitted, in this order: the temperature, on the first data set, which is folded into the last layer, so
that every export and every device has it; the detector of music; and ``uncertain_below``. The last two take the mean
over all data sets given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, to_module
from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.models.logit_layer import logit_layer
from edgegenre_runtime.audio.music_detector import DETECTOR_KEY, MusicDetector
from edgegenre_runtime.audio.sound_gate import UNCERTAIN_KEY
from edgegenre_runtime.errors import CheckpointError, DataError, UsageError
from edgegenre_runtime.frontend import Tables

from ..metrics.single_label import UNCERTAIN_LOST, uncertain_below
from ..models import open_model
from ..scoring import TrackScores, score_tracks, smoothed
from .music_fit import fit_detector, window_set
from .temperature import apply_temperature, fit_temperature

__all__ = ["Calibrated", "calibrate", "calibrate_like"]

NOISE_LOST = 0.01
"""Share of the validation windows of music that the detector may take for noise, in the mean over the data sets."""


@dataclasses.dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted: the temperature of the network as it was, the detector if sounds were given, the threshold."""

    temperature: float
    detector: MusicDetector | None
    uncertain_below: float


def calibrate(model: Path, data: Sequence[Path], sounds: Path | None, command: str) -> Calibrated:
    """Fit all on the validation tracks and write them into the checkpoint.

    Parameters
    ----------
    model
        Checkpoint. Its weights are written anew; accuracy does not change.
    data
        Feature caches of the checkpoint's front-end and classes with validation tracks, the first of which sets
        the temperature. The detector also learns from its training tracks.
    sounds
        Cache of `edgegenre data sounds`; without it there is no detector but the rule for steady noise.
    command
        What the user typed, for the record.

    Raises
    ------
    DataError
        If a cache is of another front-end or other classes, or has no validation track.
    CheckpointError
        If the last layer cannot be scaled.
    UsageError
        If the checkpoint answers several labels at once.
    """
    checkpoint = _single_label(model)
    labels, tables, predict = open_model(model)[:3]
    caches = [_opened(path, labels, tables) for path in data]
    scores = [score_tracks(predict, cache, cache.tracks_of("valid"), tables) for cache in caches]
    temperature = fit_temperature(lambda t: _answers(scores[0], t, tables)[0], scores[0].window_truth)
    below = uncertain_below([_answers(one, temperature, tables) for one in scores], UNCERTAIN_LOST)
    detector = None if sounds is None else _detector(caches, load_cache(sounds, tables), tables)
    result = Calibrated(temperature, detector, below)
    _write(model, checkpoint, result, command)
    return result


def calibrate_like(model: Path, source: Path, command: str) -> Calibrated:
    """Take over the calibration of a checkpoint of the same recipe that was fitted on fewer tracks.

    A network that was fitted on all tracks has none left to be calibrated on: of those that it saw it is too sure.

    Parameters
    ----------
    model
        Checkpoint that was not calibrated yet. Its weights are written anew.
    source
        Checkpoint that `edgegenre calibrate` wrote, of the same network, classes and front-end.
    command
        What the user typed, for the record.

    Raises
    ------
    UsageError
        If the two differ in network, classes or front-end, if ``source`` is not calibrated, or ``model`` already is.
    """
    checkpoint, other = _single_label(model), _single_label(source)
    if (checkpoint.config.name, checkpoint.labels, checkpoint.spec) != (other.config.name, other.labels, other.spec):
        raise UsageError(f"{source}: of another network, other classes or another front-end than {model}")
    if "temperature" not in other.meta:
        raise UsageError(f"{source}: not calibrated; run edgegenre calibrate on it first")
    if "temperature" in checkpoint.meta:
        raise UsageError(f"{model}: already calibrated; fit it anew first")
    detector = other.meta.get(DETECTOR_KEY)
    result = Calibrated(
        other.meta["temperature"],
        None if detector is None else MusicDetector.of(detector),
        other.meta[UNCERTAIN_KEY],
    )
    _write(model, checkpoint, result, command)
    return result


def _single_label(model: Path) -> Checkpoint:
    checkpoint = load_checkpoint(model)
    if checkpoint.task.kind != "single":
        raise UsageError(f"{model}: answers several labels, which have thresholds of their own: nothing to calibrate")
    return checkpoint


def _write(model: Path, checkpoint: Checkpoint, result: Calibrated, command: str) -> None:
    """Save the checkpoint with the temperature in its weights and the rest in its JSON."""
    meta: dict[str, Any] = {
        **checkpoint.meta,
        UNCERTAIN_KEY: round(result.uncertain_below, 4),
        "temperature": round(result.temperature * checkpoint.meta.get("temperature", 1.0), 4),
        "calibrated_by": command,
    }
    for stale in (DETECTOR_KEY, "metrics"):
        meta.pop(stale, None)
    if result.detector is not None:
        meta[DETECTOR_KEY] = result.detector.to_dict()
    weights = (model / "best.safetensors" if model.is_dir() else model).with_suffix(".safetensors")
    save_checkpoint(weights, dataclasses.replace(_cooled(checkpoint, result.temperature), meta=meta))


def _opened(path: Path, labels: tuple[str, ...], tables: Tables) -> FeatureCache:
    cache = load_cache(path, tables)
    if cache.labels != labels:
        raise DataError(f"{path}: has classes {', '.join(cache.labels)}, the model has {', '.join(labels)}")
    if not len(cache.tracks_of("valid")):
        raise DataError(f"{path}: no validation tracks to calibrate on: split the data set first")
    return cache


def _answers(
    scores: TrackScores, temperature: float, tables: Tables
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    cooled = apply_temperature(scores.window_probabilities, temperature)
    return smoothed(cooled, scores.windows_per_track, tables), scores.window_truth


def _detector(caches: Sequence[FeatureCache], sounds: FeatureCache, tables: Tables) -> MusicDetector:
    tracks = sounds.tracks_of("valid")
    if not len(tracks):
        raise DataError("the sounds have no part to fit on: make them with `edgegenre data sounds`")
    limits = [window_set(cache, cache.tracks_of("valid"), tables) for cache in caches]
    learned = caches[0].tracks_of("train")
    music = [window_set(caches[0], learned, tables)] if len(learned) else []
    return fit_detector([*music, *limits], window_set(sounds, tracks, tables), limits, NOISE_LOST)


def _cooled(checkpoint: Checkpoint, temperature: float) -> Checkpoint:
    """Return the checkpoint with its logits divided by a temperature; raises :class:`CheckpointError` if it cannot."""
    import torch

    network = to_module(checkpoint).eval()
    layer = logit_layer(network, len(checkpoint.labels))
    if layer is None:
        raise CheckpointError(f"{checkpoint.config.name}: its last layer has no bias, so it cannot take a temperature")
    state = dict(checkpoint.state)
    for name in ("weight", "bias"):
        key = f"{layer}.{name}" if layer else name
        state[key] = (state[key] / np.float32(temperature)).astype(state[key].dtype)
    cooled = dataclasses.replace(checkpoint, state=state)
    spec = checkpoint.spec
    with torch.inference_mode():
        db = torch.rand(1, 1, spec.n_mels, spec.frames_per_window) * spec.top_db
        if not torch.allclose(to_module(cooled).eval()(db) * temperature, network(db), rtol=1e-3, atol=1e-3):
            raise CheckpointError(f"{checkpoint.config.name}: its logits are not those of its last layer")
    return cooled
