"""Accuracy on an evaluation set (a cache, or audio with labels) by the device's code, with the base install."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.data.sources import open_dataset
from edgegenre.data.windows import track_windows
from edgegenre.evaluate.metrics.wilson import wilson_interval
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.window_stream import WindowStream
from edgegenre_runtime.printable import printable

__all__ = ["measure_accuracy"]

_Answers = Iterator[tuple[int, npt.NDArray[np.float32]]]
"""The class of a track, and the probabilities of its windows, float32 [n, n_classes]."""


def measure_accuracy(
    classifier: GenreClassifier,
    data: Path,
    part: str,
    max_tracks: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Classify an evaluation set.

    Parameters
    ----------
    classifier
        The bundle.
    data
        A feature cache (``.npz``), or audio: a folder with one sub-folder a class, or a CSV manifest.
    part
        Part of a cache, ``"test"`` for example; audio is taken whole.
    max_tracks
        Tracks that are classified, taken evenly.
    progress
        Called with the tracks done and in all.

    Returns
    -------
    dict
        ``data``, ``data_id`` (hash of what was classified), ``part``, ``n_tracks``, ``n_windows``,
        ``track_accuracy``, ``track_accuracy_95``, ``window_accuracy``, ``wall_s``.

    Raises
    ------
    DataError
        If it has other classes than the bundle, or no track.
    """
    began = time.perf_counter()
    is_cache = data.suffix == ".npz"
    n, data_id, answers = (_from_cache if is_cache else _from_audio)(classifier, data, part, max_tracks)
    track_hits = window_hits = n_windows = 0
    for done, (truth, probabilities) in enumerate(answers, 1):
        window_hits += int((probabilities.argmax(axis=1) == truth).sum())
        track_hits += int(probabilities.mean(axis=0).argmax() == truth)
        n_windows += len(probabilities)
        progress(done, n)
    low, high = wilson_interval(track_hits, n)
    return {
        "data": printable(data.name),
        "data_id": data_id,
        "part": part if is_cache else "all",
        "n_tracks": n,
        "n_windows": n_windows,
        "track_accuracy": round(track_hits / n, 4),
        "track_accuracy_95": [round(low, 4), round(high, 4)],
        "window_accuracy": round(window_hits / n_windows, 4),
        "wall_s": round(time.perf_counter() - began, 3),
    }


def _evenly(n: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})


def _check_labels(data: Path, labels: tuple[str, ...], classifier: GenreClassifier) -> None:
    strange = sorted(set(labels) - set(classifier.labels))
    if strange:
        raise DataError(f"{data}: has class {strange[0]!r}; the bundle's are {', '.join(classifier.labels)}")


def _id(parts: Iterator[bytes]) -> str:
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return state.hexdigest()[:16]


def _from_cache(classifier: GenreClassifier, data: Path, part: str, most: int) -> tuple[int, str, _Answers]:
    cache = load_cache(data, classifier.tables)
    _check_labels(data, cache.labels, classifier)
    tracks = cache.tracks_of(part)
    if not len(tracks):
        raise DataError(f"{data}: no tracks in part {part!r}: split the data set first")
    chosen = [int(tracks[i]) for i in _evenly(len(tracks), most)]
    data_id = _id(np.ascontiguousarray(cache.track(track)).tobytes() for track in chosen)
    return len(chosen), data_id, _cached(classifier, cache, chosen)


def _cached(classifier: GenreClassifier, cache: FeatureCache, tracks: list[int]) -> _Answers:
    for track in tracks:
        truth = classifier.labels.index(cache.labels[cache.y[track]])
        cells = track_windows(cache, track, classifier.tables)
        yield truth, np.stack([classifier.probabilities(window) for window in cells])


def _from_audio(classifier: GenreClassifier, data: Path, part: str, most: int) -> tuple[int, str, _Answers]:
    dataset = open_dataset(data)
    _check_labels(data, dataset.labels, classifier)
    tracks = [dataset.tracks[i] for i in _evenly(len(dataset.tracks), most)]

    def answers() -> _Answers:
        for track in tracks:
            yield classifier.labels.index(track.label), _of_file(classifier, track.path)

    return len(tracks), _id(track.path.read_bytes() for track in tracks), answers()


def _of_file(classifier: GenreClassifier, path: Path) -> npt.NDArray[np.float32]:
    """Return the network's probabilities for every window of a file, also of those that are answered as no music."""
    stream = WindowStream(classifier.tables)
    items = [item for block in file_blocks(path, classifier.rate_hz) for item in stream.push(block)]
    items += [last] if (last := stream.finish()) is not None else []
    return np.stack([classifier.probabilities(item.window.cells) for item in items])
