"""Which tracks go together: of a genre, near to a song, or on the way from one song to another."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError, UsageError

from ..records import Track
from ..store import Library
from .embedding_file import nearest_tracks

__all__ = ["journey", "of_genre", "similar"]

_CANDIDATES = 16  # for each step of a journey and each step before it
_MOST_STEPS = 200  # in a million tracks a step costs 4 MB


def of_genre(library: Library, genre: str, least: float, minutes: float) -> list[Track]:
    """Return tracks of a genre, the most probable first, until they last ``minutes``; of equal files one.

    Parameters
    ----------
    library
        Their library.
    genre
        A class of the bundle of the latest scan.
    least
        Probability that a track must reach, 0 to 1.
    minutes
        Length of the list; the last track may reach over it.

    Raises
    ------
    UsageError
        No such class, or a probability out of range.
    DataError
        No track reaches ``least``.
    """
    bundle = library.bundle()
    if genre not in bundle.task.names:
        raise UsageError(f"--genre {genre}: the bundle {bundle.name} knows {', '.join(bundle.task.names)}")
    if not 0 <= least <= 1 or not minutes > 0:
        raise UsageError("--min is a probability from 0 to 1, --minutes more than 0")
    ids, probabilities = library.probabilities(bundle)
    p = probabilities[:, bundle.task.names.index(genre)]
    rows = np.flatnonzero(p >= least)
    chosen: list[Track] = []
    left_s = minutes * 60
    for track in _distinct(library, ids[rows[np.argsort(-p[rows], kind="stable")]]):
        if left_s <= 0:
            break
        chosen.append(track)
        left_s -= track.analysis.duration_s or 0.0
    if not chosen:
        raise DataError(f"{library.path}: no track is {genre} with a probability of {least:g} or more; lower --min")
    return chosen


def similar(library: Library, song: Path, n: int) -> list[Track]:
    """Return the ``n`` tracks whose embeddings are nearest to a song's by angle, the nearest first, not the song.

    Raises
    ------
    DataError
        The song is not in the library, has no embedding or one of another bundle than the latest scan's, or is alone.
    """
    if n < 1:
        raise UsageError(f"-n {n}: at least 1 track is needed")
    seed = _song(library, song)
    (nearest,) = nearest_tracks(library, seed.bundle, _unit(seed)[:, None], 4 * n + _CANDIDATES)
    chosen = []
    for track in _distinct(library, nearest, seed):
        chosen.append(track)
        if len(chosen) == n:
            break
    if not chosen:
        raise DataError(f"{library.path}: there is no other track than {song}: scan more music")
    return chosen


def journey(library: Library, first: Path, last: Path, n: int) -> list[Track]:
    """Return ``n`` tracks from one song to another: each the nearest unused one to its point of the line between.

    Raises
    ------
    UsageError
        Fewer than three tracks, or more than 200.
    DataError
        As :func:`similar`'s.
    """
    if n < 3:
        raise UsageError(f"-n {n}: a way from one song to another has at least 3 tracks")
    if n > _MOST_STEPS:
        raise UsageError(f"-n {n}: a way from one song to another has at most {_MOST_STEPS} tracks")
    a, b = _song(library, first), _song(library, last)
    shares = np.linspace(0, 1, n, dtype=np.float32)[1:-1]
    points = np.outer(_unit(a), 1 - shares) + np.outer(_unit(b), shares)
    candidates = nearest_tracks(library, a.bundle, points, 2 * n + _CANDIDATES)
    way, used = [a], {a.id, b.id, a.analysis.content_hash, b.analysis.content_hash}
    for ids in candidates:
        for track in _tracks(library, ids):
            if not {track.id, track.analysis.content_hash} & used:
                used |= {track.id, track.analysis.content_hash}
                way.append(track)
                break
    return [*way, b]


def _song(library: Library, path: Path) -> Track:
    track = library.track(path)
    if track is None and not path.exists():
        raise DataError(f"{path}: there is no such file, and the library has none of that name")
    if track is None:
        command = f"edgegenre library scan {shlex.quote(str(path))} --db {shlex.quote(str(library.path))}"
        raise DataError(f"{path}: is not in the library: run  {command}")
    if track.analysis.embedding is None:
        raise DataError(f"{path}: {track.analysis.error or 'is silent'}, so that nothing is similar to it")
    if track.bundle.hash != library.bundle().hash:
        raise DataError(f"{path}: was scanned with another bundle than the rest: run  edgegenre library scan  again")
    return track


def _unit(track: Track) -> npt.NDArray[np.float32]:
    vector = np.asarray(track.analysis.embedding, np.float32)
    unit: npt.NDArray[np.float32] = vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))
    return unit


def _tracks(library: Library, ids: npt.NDArray[np.int64]) -> Iterator[Track]:
    for row in ids.tolist():
        yield from library.tracks("id = ?", [row])


def _distinct(library: Library, ids: npt.NDArray[np.int64], *left_out: Track) -> Iterator[Track]:
    """Yield tracks by their rows, of those with the same content the first."""
    seen = {track.analysis.content_hash for track in left_out}
    for track in _tracks(library, ids):
        if track.analysis.content_hash not in seen:
            seen.add(track.analysis.content_hash)
            yield track
