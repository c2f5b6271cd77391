"""One pass over a library's tracks: what is counted, and which tracks are worth a look."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import shlex

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library import Library, Track

__all__ = ["N_BINS", "Summary", "summarize"]

N_BINS = 10
"""Bins of the histogram of confidence, each a tenth wide."""

_THERE = "error IS NULL AND NOT is_gone"
_FAILED = "error IS NOT NULL AND NOT is_gone"


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """A library in numbers, and the ends of its lists.

    Attributes
    ----------
    n_tracks, n_gone, n_failed
        Files with an answer that are there, files that are gone, files that could not be read.
    duration_s, size
        Seconds and bytes of the files with an answer.
    genres
        Tracks of each genre; one with several counts for each of them.
    others
        Tracks of each answer that is no genre: ``uncertain``, ``noise``, ``silence``.
    confidences
        int64 [N_BINS]: tracks with a genre by the probability of their answer.
    doubtful
        Tracks with a genre, the least probable first.
    without_genre
        Tracks whose answer is no genre, by path.
    failed
        Files that could not be read, by path.
    copies
        Groups of files with the same content, the largest files first.
    n_copies
        Files that are a copy of another one, in all groups.
    """

    n_tracks: int
    n_gone: int
    n_failed: int
    duration_s: float
    size: int
    genres: dict[str, int]
    others: dict[str, int]
    confidences: npt.NDArray[np.int64]
    doubtful: list[Track]
    without_genre: list[Track]
    failed: list[Track]
    copies: list[list[Track]]
    n_copies: int


def summarize(library: Library, n_shown: int) -> Summary:
    """Return a library in numbers; lists have at most ``n_shown`` entries, whatever the library's size.

    Raises
    ------
    DataError
        Nothing was scanned, or everything is gone.
    """
    library.bundle()
    n, n_failed = library.count(), library.count(_FAILED)
    if not n + n_failed:
        command = f"edgegenre library scan MUSIC --db {shlex.quote(str(library.path))}"
        raise DataError(f"{library.path}: the library is empty: run  {command}")
    genres, others = collections.Counter[str](), collections.Counter[str]()
    confidences = np.zeros(N_BINS, np.int64)
    duration_s, size = 0.0, 0
    doubtful: list[tuple[float, int, Track]] = []  # a heap whose first is the most probable of those kept
    for track in library.tracks(order="id"):
        found = track.analysis
        duration_s, size = duration_s + (found.duration_s or 0.0), size + found.size
        if not found.genres:
            others[found.label or "no answer"] += 1
            continue
        genres.update(found.genres)
        confidence = found.confidence or 0.0
        confidences[min(max(int(confidence * N_BINS), 0), N_BINS - 1)] += 1
        heapq.heappush(doubtful, (-confidence, -track.id, track))
        if len(doubtful) > n_shown:
            heapq.heappop(doubtful)
    copies, n_copies = _copies(library, n_shown)
    return Summary(
        n_tracks=n,
        n_gone=library.count("is_gone"),
        n_failed=n_failed,
        duration_s=duration_s,
        size=size,
        genres=dict(genres.most_common()),
        others=dict(others.most_common()),
        confidences=confidences,
        doubtful=[track for _, _, track in sorted(doubtful, key=lambda entry: (-entry[0], -entry[1]))],
        without_genre=list(library.tracks(f"{_THERE} AND genres = '[]'", order=f"path LIMIT {n_shown}")),
        failed=list(library.tracks(_FAILED, order=f"path LIMIT {n_shown}")),
        copies=copies,
        n_copies=n_copies,
    )


def _copies(library: Library, n_shown: int) -> tuple[list[list[Track]], int]:
    """Return groups of tracks with one content, ``n_shown`` files in all, and how many files are one too many."""
    same = library.same_contents()
    groups: list[list[Track]] = []
    left = n_shown
    for digest, count in same:
        if left < 2:
            break
        groups.append(list(library.tracks(f"{_THERE} AND content_hash = ?", [digest], f"path LIMIT {left}")))
        left -= count
    return groups, sum(count - 1 for _, count in same)
