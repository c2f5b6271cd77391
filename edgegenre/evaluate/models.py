"""Models to be scored: a checkpoint, a bundle or several; opened here, or by path in the processes that run them."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgegenre.checkpoint import Checkpoint, load_checkpoint, to_module
from edgegenre.heads.checkpoint import load_head
from edgegenre.heads.head_path import find_head
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.music_detector import DETECTOR_KEY, MusicDetector
from edgegenre_runtime.audio.sound_gate import uncertain_below
from edgegenre_runtime.errors import DataError, SpecError, UsageError
from edgegenre_runtime.frontend import Tables, released
from edgegenre_runtime.network.answer_gate import AnswerGate
from edgegenre_runtime.network.task import Task

from .scoring import Predictor, torch_predictor
from .sequence import is_bundle, open_head

__all__ = ["OpenModel", "open_ensemble", "open_model", "predictor_in_worker"]


class OpenModel(NamedTuple):
    """Classes, front-end, predictor, task, and what makes the gate of a source's answers, of a checkpoint or bundle."""

    labels: tuple[str, ...]
    tables: Tables
    predict: Predictor
    task: Task
    gate: Callable[[], AnswerGate]


def open_model(model: Path) -> OpenModel:
    """Open a bundle or checkpoint; raises :class:`SpecError` for other tables."""
    if is_bundle(model):
        classifier = GenreClassifier.load(model)
        predict = _bundle_predictor(classifier)
        return OpenModel(classifier.labels, classifier.tables, predict, classifier.task, classifier.answer_gate)
    checkpoint = load_checkpoint(model)
    tables = released(checkpoint.spec.name)
    if tables.spec_hash != checkpoint.spec_hash:
        raise SpecError(f"{model}: trained with other front-end tables than this edgegenre's: train it again")

    def gate() -> AnswerGate:
        detector = MusicDetector.of(checkpoint.meta.get(DETECTOR_KEY))
        head = load_head(model)
        fitted = {**checkpoint.meta, **({} if head is None else head.meta)}  # a head has a threshold of its own
        return AnswerGate(detector, uncertain_below(fitted), tables.spec)

    return OpenModel(checkpoint.labels, tables, _checkpoint_predictor(checkpoint, tables), checkpoint.task, gate)


def open_ensemble(models: Sequence[Path]) -> OpenModel:
    """Return what :func:`open_model` does for the mean of several models' probabilities."""
    opened = [open_model(model) for model in models]
    first = opened[0]
    for model, other in zip(models, opened, strict=True):
        if (other.labels, other.tables.spec_hash) != (first.labels, first.tables.spec_hash):
            raise UsageError(f"{model} and {models[0]} differ in classes or front-end: they cannot form an ensemble")

    def predict(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        return np.asarray(np.mean([one.predict(cells) for one in opened], axis=0), np.float32)

    return first._replace(predict=predict)


def predictor_in_worker(models: Sequence[Path], *, with_head: bool = False) -> Predictor:
    """Return a predictor for other processes, which open the models by their paths when they first call it.

    Parameters
    ----------
    models
        As :func:`open_ensemble`'s.
    with_head
        Whether it is the one model's head that answers, from the windows of a track.

    Raises
    ------
    DataError
        In a process that finds other files under these paths.
    """
    paths = tuple(os.path.abspath(model) for model in models)
    return functools.partial(_answer, paths=paths, digest=_digest(paths), with_head=with_head)


def _answer(
    cells: npt.NDArray[np.int8], *, paths: tuple[str, ...], digest: str, with_head: bool
) -> npt.NDArray[np.float32]:
    return _opened_once(paths, digest, with_head, threading.get_ident())(cells)


@functools.lru_cache(maxsize=64)
def _opened_once(paths: tuple[str, ...], digest: str, with_head: bool, thread: int) -> Predictor:
    """Return a predictor for one thread: a network has buffers, and a Dask worker several threads."""
    models = [Path(path) for path in paths]
    if _digest(paths) != digest:
        raise DataError(f"{paths[0]}: a worker finds another model there than the command did: give all the same files")
    head = open_head(models[0]) if with_head else None
    return open_ensemble(models).predict if head is None else head


def _digest(paths: Sequence[str]) -> str:
    """Return the SHA-256 of what names and hashes a model's other files, or of the file itself."""
    sha = hashlib.sha256()
    for model in map(Path, paths):
        files = [model, model.with_suffix(".json"), model / "manifest.json", model / "best.safetensors"]
        files += [model / "best.json", find_head(model) or model]
        for file in files:
            sha.update(file.read_bytes() if file.is_file() else b"")
    return sha.hexdigest()


def _checkpoint_predictor(checkpoint: Checkpoint, tables: Tables) -> Predictor:
    """Return a predictor that imports torch and builds the network when it is first called."""

    @functools.cache
    def built() -> Predictor:
        return torch_predictor(to_module(checkpoint), tables.spec.top_db, checkpoint.task)

    def predict(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        return built()(cells)

    return predict


def _bundle_predictor(classifier: GenreClassifier) -> Predictor:
    def predict(cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        return np.stack([classifier.probabilities(one) for one in cells])

    return predict
