"""Sounds that are no music as a feature cache: rendered ones, and recordings in folders by kind and source."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel

from ..clips import read_clip
from ..dataset import SPLIT_NAMES
from ..feature_cache import FeatureCache, save_cache
from ..labels import check_labels

__all__ = ["Sound", "cache_sounds"]

Sound = tuple[str, str, npt.NDArray[np.int16]]
"""Kind, source, and int16 mono PCM at the front-end's rate."""

_FIT, _MEASURE = SPLIT_NAMES.index("valid"), SPLIT_NAMES.index("test")


def cache_sounds(
    out: Path,
    tables: Tables,
    rendered: Iterable[Sound],
    folder: Path | None,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Write the cache and return how many sounds of each kind are in it.

    Parameters
    ----------
    out
        The cache to write; its classes are the kinds, its groups the sources.
    tables
        The front-end.
    rendered
        Sounds that are in no file.
    folder
        Recordings as ``KIND/SOURCE/NAME.wav`` or any other audio, or None.
    seed
        Decides the halves.
    progress
        Called with the number of sounds done.

    Raises
    ------
    AudioError
        If a recording cannot be read, or there is none in the folder.
    DataError
        If a recording does not lie in KIND/SOURCE, a kind has one source only or is called as no class can be, or
        the cache cannot be written.
    """
    recorded = iter(()) if folder is None else _recorded(folder, audio_files([folder]), tables.spec.sample_rate_hz)
    kinds, groups, tracks = [], [], []
    for kind, source, pcm in itertools.chain(rendered, recorded):
        kinds.append(kind)
        groups.append(f"{kind}/{source}")
        tracks.append(log_mel(pcm, tables).frames_q9)
        if progress is not None:
            progress(len(tracks))
    labels = tuple(sorted(set(kinds)))
    check_labels(labels, out)
    cache = FeatureCache(
        frames=np.concatenate(tracks, axis=1),
        offsets=np.cumsum([0, *(track.shape[1] for track in tracks)], dtype=np.int64),
        y=np.array([labels.index(kind) for kind in kinds], np.int64),
        labels=labels,
        names=tuple(f"{group}/{index}" for index, group in enumerate(groups)),
        groups=tuple(groups),
        split=_halves(kinds, groups, seed),
        spec=tables.spec,
        spec_hash=tables.spec_hash,
    )
    save_cache(cache, out)
    return {kind: kinds.count(kind) for kind in labels}


def _recorded(folder: Path, paths: Iterable[Path], rate_hz: int) -> Iterator[Sound]:
    for path in paths:
        parts = path.relative_to(folder).parts
        if len(parts) < 3:
            raise DataError(f"{path}: recordings lie in {folder}/KIND/SOURCE, such as speech/anna/1.wav")
        yield parts[0], parts[1], read_clip(path, rate_hz).pcm


def _halves(kinds: list[str], groups: list[str], seed: int) -> npt.NDArray[np.uint8]:
    """Return the part of each sound: half of the sources of each kind to fit on, the rest to measure by."""
    rng = np.random.default_rng(seed)
    part_of: dict[str, int] = {}
    for kind in sorted(set(kinds)):
        sources = sorted({group for of, group in zip(kinds, groups, strict=True) if of == kind})
        if len(sources) < 2:
            raise DataError(f"{kind} has one source only, {sources[0]}: two or more are needed, to fit and to measure")
        for rank, at in enumerate(rng.permutation(len(sources))):
            part_of[sources[at]] = _FIT if rank < len(sources) // 2 else _MEASURE
    return np.array([part_of[group] for group in groups], np.uint8)
