"""What a worker does with one file: hash, decode, classify. It runs in another process, maybe on another machine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import file_blocks, file_excerpts
from edgegenre_runtime.errors import AudioError, BundleError, EdgeGenreError
from edgegenre_runtime.network.bundle import Bundle, read_bundle
from edgegenre_runtime.network.classifier import FilePrediction, GenreClassifier

from .records import Analysis, Fingerprint

__all__ = ["AnalysisSettings", "analyze_file", "bundle_hash", "describe", "fingerprint"]

_READ_BYTES = 1 << 20
_GATHERED = 1 << 19  # samples: 24 s, 1 MB
_ANSWERING = ("model_int8.tflite", "frontend.json", "labels.txt", "music_detector.json", "head.json", "head.npz")


@dataclasses.dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """What every file of a scan is analyzed with.

    Attributes
    ----------
    bundle, bundle_hash
        Where the bundle lies on the worker's machine, and what :func:`bundle_hash` must say about it.
    max_windows
        Windows of a track that are classified, spread over it; 0 for all.
    """

    bundle: str
    bundle_hash: str
    max_windows: int = 0


def bundle_hash(bundle: Bundle) -> str:
    """Return a hash of what decides a bundle's answers: its files that do, its task and its thresholds."""
    manifest = bundle.manifest
    files = {name: manifest["files"][name]["sha256"] for name in _ANSWERING if name in manifest["files"]}
    decides = {"files": files, "task": bundle.task.to_dict(), "uncertain_below": manifest.get("uncertain_below")}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def describe(classifier: GenreClassifier) -> dict[str, Any]:
    """Return what :meth:`.store.Library.add_bundle` keeps of a bundle."""
    bundle = classifier.bundle
    return {
        "name": bundle.root.name,
        "labels": list(bundle.labels),
        "embedding_dims": classifier.backend.embedding_dims,
        **bundle.task.to_dict(),
    }


def fingerprint(path: bytes) -> Fingerprint | None:
    """Return size, time and hash of a file; None where it cannot be read, or changes meanwhile."""
    try:
        before = os.stat(path)
        digest = _hash_file(path)
        after = os.stat(path)
    except OSError:
        return None
    found = Fingerprint(before.st_size, before.st_mtime_ns, digest)
    return found if (found.size, found.mtime_ns) == (after.st_size, after.st_mtime_ns) else None


def _hash_file(path: bytes) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.digest()


def analyze_file(path: bytes, settings: AnalysisSettings, content_hash: bytes | None = None) -> Analysis:
    """Hash, decode and classify a file; what is wrong with it becomes the analysis's ``error``.

    Parameters
    ----------
    path
        The file.
    settings
        Of the scan.
    content_hash
        Its hash where it is known already.

    Raises
    ------
    BundleError
        If the bundle is not there, or another than the scan's.
    """
    classifier = _classifier(settings, threading.get_ident())
    name = os.fsdecode(path)
    try:
        status = os.stat(path)
    except OSError as error:
        return Analysis(0, 0, error=(error.strerror or str(error)).lower())
    begun = Analysis(status.st_size, status.st_mtime_ns)
    try:
        digest = _hash_file(path) if content_hash is None else content_hash
        begun = dataclasses.replace(begun, content_hash=digest)
        found = _classified(classifier, name, settings, begun)
        ended = os.stat(path)
    except OSError as error:
        return dataclasses.replace(begun, error=(error.strerror or str(error)).lower())
    except EdgeGenreError as error:
        return dataclasses.replace(begun, error=str(error).removeprefix(f"{name}: "))
    if (ended.st_size, ended.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        return dataclasses.replace(begun, content_hash=None, error="changed while it was read: scan again")
    return found


def _classified(classifier: GenreClassifier, name: str, settings: AnalysisSettings, begun: Analysis) -> Analysis:
    """Classify the windows that the settings ask for; all of them where a file cannot be read in stretches."""
    if settings.max_windows and classifier.head is None:  # a head follows the whole track
        with contextlib.suppress(AudioError):  # damaged: what is there is read from the beginning, and is said
            found = _sampled(classifier, name, settings.max_windows, begun)
            if found is not None:
                return found
    blocks = file_blocks(Path(name), classifier.rate_hz)
    n_samples = 0

    def gathered() -> Iterator[npt.NDArray[np.int16]]:
        """Yield several blocks as one: decoder, front-end and network then have the caches for a while each."""
        nonlocal n_samples
        waiting: list[npt.NDArray[np.int16]] = []
        n_waiting = 0
        for block in itertools.chain(blocks, [None]):
            if block is not None:
                waiting.append(block)
                n_waiting += len(block)
            if waiting and (block is None or n_waiting >= _GATHERED):
                n_samples += n_waiting
                yield np.concatenate(waiting)
                waiting, n_waiting = [], 0

    answer = classifier.summarize(classifier.stream(gathered(), embeddings=True), name)
    return _analysis(classifier, answer, begun, n_samples / classifier.rate_hz, tuple(blocks.warnings))


def _sampled(classifier: GenreClassifier, name: str, n_windows: int, begun: Analysis) -> Analysis | None:
    """Classify windows that are spread over a track; None where it is to be read whole."""
    n_samples = classifier.tables.spec.window_samples
    excerpts = file_excerpts(name, classifier.rate_hz, n_windows, n_samples)
    if excerpts is None:
        return None
    with contextlib.closing(excerpts):
        windows = [window for pcm in excerpts.pcm() for window in classifier.stream([pcm], embeddings=True)]
    return _analysis(classifier, classifier.summarize(windows, name), begun, excerpts.duration_s, excerpts.warnings)


def _analysis(
    classifier: GenreClassifier, answer: FilePrediction, begun: Analysis, duration_s: float, warnings: tuple[str, ...]
) -> Analysis:
    names = classifier.task.names
    named = [answer.probabilities[name] for name in names] if answer.probabilities else None
    heard = [window for window in answer.windows if window.probabilities or not answer.probabilities]
    vectors = [window.embedding for window in heard if window.embedding is not None]
    labels = answer.labels if answer.labels is not None else (answer.label,) if answer.label in names else ()
    return dataclasses.replace(
        begun,
        duration_s=duration_s,
        label=answer.label,
        genres=labels,
        confidence=_confidence(answer, labels),
        probabilities=None if named is None else np.array(named, np.float32),
        embedding=np.mean(vectors, axis=0).astype(np.float16) if vectors else None,
        n_windows=len(answer.windows),
        warnings=warnings,
    )


def _confidence(answer: FilePrediction, labels: tuple[str, ...]) -> float | None:
    """Return the least probable of the answer's labels; of an uncertain one the largest, of silence and noise none."""
    if not answer.probabilities:
        return None
    return min((answer.probabilities[name] for name in labels), default=max(answer.probabilities.values()))


@functools.lru_cache(maxsize=64)
def _classifier(settings: AnalysisSettings, thread: int) -> GenreClassifier:
    """Return a classifier for one thread: a network has buffers, and a Dask worker several threads."""
    classifier = GenreClassifier(read_bundle(Path(settings.bundle)))
    classifier.require_embedding()
    if bundle_hash(classifier.bundle) != settings.bundle_hash:
        raise BundleError(
            f"bundle {settings.bundle} is another than the scan was begun with: give all machines the same bundle"
        )
    return classifier
