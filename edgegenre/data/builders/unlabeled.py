"""Pieces of recordings without labels, as a feature cache: music to learn from by what a teacher thinks of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import AudioError, DataError
from edgegenre_runtime.frontend import Tables, log_mel

from ..clips import read_clip
from ..feature_cache import NO_SPLIT, FeatureCache, save_cache

__all__ = ["UNLABELED", "cache_unlabeled"]

UNLABELED = "unlabeled"
"""The one class of a cache without labels."""

_STARTS_S = (20.0, 70.0)
_QUIET = 330  # of 32767, a hundredth of full scale


def cache_unlabeled(
    folder: Path, tables: Tables, out: Path, seconds: float, progress: Callable[[int, int], None] | None = None
) -> tuple[int, list[tuple[Path, str]]]:
    """Write a cache with pieces of every recording under a folder.

    A piece begins 20 s into a recording and another 70 s into it, as far as the recording is long enough; one that is
    never louder than a hundredth of full scale is left out.

    Parameters
    ----------
    folder
        Searched recursively for :data:`edgegenre_runtime.audio.files.EXTENSIONS`.
    tables
        The front-end.
    out
        The cache to write; its tracks are in no split.
    seconds
        Length of a piece.
    progress
        Called with the recordings done and the recordings in all.

    Returns
    -------
    int, list
        Pieces written, and path and reason of each recording that could not be read.

    Raises
    ------
    AudioError
        No folder, or no recording in it.
    DataError
        No recording that gives a piece, or a cache that cannot be written.
    """
    paths = audio_files([folder])
    rate_hz = tables.spec.sample_rate_hz
    names, tracks, broken = [], [], []
    for done, path in enumerate(paths, 1):
        try:
            pcm = read_clip(path, rate_hz).pcm
        except AudioError as error:
            broken.append((path, str(error)))
            continue
        for start_s in _STARTS_S:
            piece = pcm[round(start_s * rate_hz) :][: round(seconds * rate_hz)]
            if len(piece) == round(seconds * rate_hz) and np.abs(piece.astype(np.int32)).max() >= _QUIET:
                names.append(f"{path.relative_to(folder).as_posix()}@{start_s:g}")
                tracks.append(log_mel(piece, tables).frames_q9)
        if progress is not None:
            progress(done, len(paths))
    if not tracks:
        raise DataError(f"{folder}: no recording of at least {_STARTS_S[0] + seconds:g} s among {len(paths)} files")
    cache = FeatureCache(
        frames=np.concatenate(tracks, axis=1),
        offsets=np.cumsum([0, *(track.shape[1] for track in tracks)], dtype=np.int64),
        y=np.zeros(len(tracks), np.int64),
        labels=(UNLABELED,),
        names=tuple(names),
        groups=tuple(names),
        split=np.full(len(tracks), NO_SPLIT, np.uint8),
        spec=tables.spec,
        spec_hash=tables.spec_hash,
    )
    save_cache(cache, out)
    return len(tracks), broken
