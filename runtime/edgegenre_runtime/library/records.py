"""What the database holds, as records."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.task import Task

__all__ = ["Analysis", "BundleRecord", "Fingerprint", "TagChange", "Track", "TrackArrays"]


@dataclasses.dataclass(frozen=True, slots=True)
class BundleRecord:
    """A bundle that answered.

    Attributes
    ----------
    id
        Its row.
    hash
        SHA-256 of what decides its answers.
    name
        Its folder's or file's name, for people.
    task
        What its probabilities mean; ``task.names`` is their order.
    embedding_dims
        Values of an embedding.
    """

    id: int
    hash: str
    name: str
    task: Task
    embedding_dims: int


@dataclasses.dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file's size in bytes, its time and the SHA-256 of its content."""

    size: int
    mtime_ns: int
    content_hash: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """What a worker found out about a file.

    Attributes
    ----------
    size, mtime_ns
        Of the file, when it was opened.
    content_hash
        SHA-256 of its bytes; None where they could not be read.
    error
        Why there is no answer; None where there is one, and what follows is set.
    duration_s
        Seconds of audio.
    label, genres, confidence
        The answer, its labels (one of a single-label bundle; none of silence, noise and uncertain), the probability
        of the answer.
    probabilities
        float32 [names]; None for silence and noise.
    embedding
        float16 [D], the mean over the windows; None for silence.
    n_windows
        Windows that were classified.
    warnings
        One sentence each on what is wrong with the file.
    """

    size: int
    mtime_ns: int
    content_hash: bytes | None = None
    error: str | None = None
    duration_s: float | None = None
    label: str | None = None
    genres: tuple[str, ...] = ()
    confidence: float | None = None
    probabilities: npt.NDArray[np.float32] | None = dataclasses.field(default=None, compare=False)
    embedding: npt.NDArray[np.float16] | None = dataclasses.field(default=None, compare=False)
    n_windows: int = 0
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """A file of the library.

    Attributes
    ----------
    id
        Its row.
    path
        Absolute; bytes that are not UTF-8 as :func:`os.fsdecode` shows them.
    is_gone
        Whether the last scan did not find it.
    bundle
        Which bundle answered.
    max_windows
        Windows that the scan was asked for, 0 for all.
    analysis
        What was found out.
    """

    id: int
    path: Path
    is_gone: bool
    bundle: BundleRecord
    max_windows: int
    analysis: Analysis

    def probability(self, name: str) -> float:
        """Return the probability of one of ``bundle.task.names``; 0 where the track has none."""
        found = self.analysis.probabilities
        return 0.0 if found is None else float(found[self.bundle.task.names.index(name)])


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TrackArrays:
    """All tracks of one bundle that have an embedding, as arrays.

    Attributes
    ----------
    ids
        int64 [n], ascending: rows of :class:`Track`.
    probabilities
        float32 [n, names]; NaN for noise, which has none.
    embeddings
        float16 [n, D].
    durations_s
        float64 [n].
    contents
        uint64 [n]: the first 8 bytes of the file's hash, the same for files with the same content.
    """

    ids: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    embeddings: npt.NDArray[np.float16]
    durations_s: npt.NDArray[np.float64]
    contents: npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True)
class TagChange:
    """What was done to a file's genre tag since it was last as its owner had it.

    Attributes
    ----------
    track, path
        The file's row, and where it lies today.
    before, after
        The values of its tag then and now.
    """

    track: int
    path: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
