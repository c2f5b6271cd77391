"""The feature cache: log-mel frames of every track in one file, with the hash of the front-end that made them.

The window normalizer is not in the cache; it runs when a crop is drawn.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, EdgeGenreError, UsageError
from edgegenre_runtime.file_formats import parse_json, read_npz
from edgegenre_runtime.frontend import FrontendSpec, Tables, log_mel

from .clips import read_clip
from .dataset import SPLIT_NAMES, Dataset, Track
from .split import Split

__all__ = ["NO_SPLIT", "CacheReport", "Expansion", "FeatureCache", "build_cache", "crop", "load_cache", "save_cache"]

NO_SPLIT = len(SPLIT_NAMES)
"""Split code of a track that is in none of train (0), valid (1) and test (2)."""

_VERSION = 1
_FRAMES_DTYPES = {"frames": np.int16, "offsets": np.int64, "y": np.int64, "split": np.uint8}
_TEXTS = ("labels", "names", "groups")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FeatureCache:
    """Log-mel frames of a data set; ``n`` tracks.

    Attributes
    ----------
    frames
        int16 [n_mels, total], Q9 of log2 power, track after track.
    offsets
        int64 [n + 1]; track ``i`` is ``frames[:, offsets[i] : offsets[i + 1]]``.
    y
        int64 [n], index into ``labels``.
    labels
        Sorted names of the classes.
    names, groups
        Name and group of each track.
    split
        uint8 [n], 0 train, 1 valid, 2 test, 3 none (:data:`NO_SPLIT`).
    spec, spec_hash
        The front-end that made the frames.
    """

    frames: npt.NDArray[np.int16]
    offsets: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    split: npt.NDArray[np.uint8]
    spec: FrontendSpec
    spec_hash: str

    def track(self, index: int) -> npt.NDArray[np.int16]:
        """Return the frames of a track, int16 [n_mels, T]."""
        return self.frames[:, self.offsets[index] : self.offsets[index + 1]]

    def tracks_of(self, split: str) -> npt.NDArray[np.int64]:
        """Return the indices of the tracks in ``"train"``, ``"valid"`` or ``"test"``, int64 [k]."""
        if split not in SPLIT_NAMES:
            raise UsageError(f"split {split!r} is unknown; there are: {', '.join(SPLIT_NAMES)}")
        return np.flatnonzero(self.split == SPLIT_NAMES.index(split)).astype(np.int64)


@dataclasses.dataclass(frozen=True, slots=True)
class Expansion:
    """Altered copies of the training tracks.

    Attributes
    ----------
    copies
        Copies of each track, beside itself.
    transform
        From int16 [n] PCM at the front-end's rate and a source of randomness to int16 [m].
    seed
        With the track's name and the copy's number it decides what happens to a copy.
    """

    copies: int
    transform: Callable[[npt.NDArray[np.int16], np.random.Generator], npt.NDArray[np.int16]]
    seed: int

    def __post_init__(self) -> None:
        if self.copies < 0:
            raise UsageError(f"{self.copies} copies of each training track; at least 0 are needed")


@dataclasses.dataclass(frozen=True, slots=True)
class CacheReport:
    """How many tracks are in the cache, and path and reason of each that could not be read."""

    n_ok: int
    broken: tuple[tuple[Path, str], ...]


def build_cache(
    dataset: Dataset,
    tables: Tables,
    out: Path | str,
    *,
    split: Split,
    strict: bool = False,
    jobs: int | None = None,
    expansion: Expansion | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CacheReport:
    """Read every track, compute its log-mel frames and write the cache, whole or not at all.

    Parameters
    ----------
    dataset, split
        The tracks and what they are for; a track the split does not name is kept as unused.
    tables
        The front-end.
    out
        The file to write.
    strict
        Whether one broken track is an error; otherwise broken tracks are left out and reported.
    jobs
        Threads; by default one a processor, at most eight.
    expansion
        Altered copies of the training tracks; they keep label and group and are named ``TRACK#1``, ``TRACK#2`` ….
    progress
        Called with the tracks done and the tracks in all.

    Raises
    ------
    DataError
        A split of other tracks, a folder that cannot be written, no track that can be read, or with ``strict``
        any that cannot (the message names them all).
    """
    part_of = split.by_name()
    strangers = sorted(set(part_of) - {track.name for track in dataset.tracks})
    if strangers:
        raise DataError(f"the split names {strangers[0]}, which is not in the data set: it belongs to another one")
    if not Path(out).parent.is_dir():
        raise DataError(f"{out}: cannot write, there is no folder {Path(out).parent}")
    good: list[tuple[Track, npt.NDArray[np.int16]]] = []
    broken: list[tuple[Path, str]] = []
    copied = set(split.train) if expansion is not None else set()
    compute = functools.partial(_frames_of, tables=tables, expansion=expansion, copied=copied)
    for done, (track, result) in enumerate(_computed(dataset.tracks, compute, jobs or min(8, os.cpu_count() or 1)), 1):
        if isinstance(result, str):
            broken.append((track.path, result))
        else:
            good += [(track, frames) for frames in result]
        if progress is not None:
            progress(done, len(dataset.tracks))
    if broken and (strict or not good):
        listing = "; ".join(reason for _, reason in broken)
        raise DataError(f"{len(broken)} of {len(dataset.tracks)} files cannot be used: {listing}")
    codes = [SPLIT_NAMES.index(part_of[track.name]) if track.name in part_of else NO_SPLIT for track, _ in good]
    cache = FeatureCache(
        frames=np.concatenate([frames for _, frames in good], axis=1),
        offsets=np.cumsum([0, *(frames.shape[1] for _, frames in good)], dtype=np.int64),
        y=np.array([dataset.labels.index(track.label) for track, _ in good], np.int64),
        labels=dataset.labels,
        names=_numbered([track.name for track, _ in good]),
        groups=tuple(track.group for track, _ in good),
        split=np.array(codes, np.uint8),
        spec=tables.spec,
        spec_hash=tables.spec_hash,
    )
    save_cache(cache, out)
    return CacheReport(n_ok=len(good), broken=tuple(broken))


def save_cache(cache: FeatureCache, path: Path | str) -> None:
    """Write a cache as one uncompressed ``.npz`` without pickled objects, beside and then renamed.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    arrays: dict[str, Any] = {name: getattr(cache, name) for name in _FRAMES_DTYPES}
    arrays |= {name: np.array(getattr(cache, name), dtype=np.str_) for name in _TEXTS}
    about = {"format_version": _VERSION, "spec": cache.spec.to_dict(), "spec_hash": cache.spec_hash}
    with written_beside(path) as handle:
        np.savez(handle, about=np.array(json.dumps(about)), **arrays)


def load_cache(path: Path | str, tables: Tables) -> FeatureCache:
    """Read what :func:`save_cache` wrote.

    Raises
    ------
    DataError
        The file is missing, damaged, of another version, or of another front-end than ``tables``.
    """
    try:
        about = parse_json(str(read_npz(Path(path), ["about"])["about"]))
        if about["format_version"] != _VERSION:
            raise DataError(
                f"{path}: feature cache of format {about['format_version']}; this edgegenre reads {_VERSION}: "
                "build the cache again"
            )
        spec, spec_hash = FrontendSpec.from_dict(about["spec"]), about["spec_hash"]
        if spec_hash != tables.spec_hash:
            raise DataError(
                f"{path}: made with front-end {spec.name} ({spec_hash[:12]}), but {tables.spec.name} "
                f"({tables.spec_hash[:12]}) is asked for: build the cache again, or choose {spec.name}"
            )
        arrays: dict[str, Any] = read_npz(Path(path), list(_FRAMES_DTYPES))
        texts: dict[str, Any] = {name: _texts(array) for name, array in read_npz(Path(path), _TEXTS).items()}
    except OSError as error:
        raise DataError(f"{path}: cannot read the feature cache ({error.strerror or error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a feature cache, or damaged: build the cache again") from error
    cache = FeatureCache(**arrays, **texts, spec=spec, spec_hash=spec_hash)
    if not _is_consistent(cache):
        raise DataError(f"{path}: damaged feature cache, its arrays do not fit together: build the cache again")
    return cache


def crop(frames_q9: npt.NDArray[np.int16], start: int, frames_per_window: int) -> npt.NDArray[np.int16]:
    """Cut one window out of a track; a shorter track is repeated along time until it fills the window.

    Parameters
    ----------
    frames_q9
        int16 [n_mels, T], T at least 1.
    start
        First frame, 0 to ``max(0, T - frames_per_window)``.
    frames_per_window
        Frames of the window.

    Returns
    -------
    numpy.ndarray
        int16 [n_mels, frames_per_window].

    Raises
    ------
    UsageError
        ``start`` is out of range or the track has no frames.
    """
    T = frames_q9.shape[1]
    if T == 0 or not 0 <= start <= max(0, T - frames_per_window):
        raise UsageError(f"cannot cut {frames_per_window} frames from frame {start} of a track of {T}")
    if frames_per_window <= T:
        return frames_q9[:, start : start + frames_per_window]
    return frames_q9[:, np.arange(frames_per_window) % T]


def _computed(
    tracks: Sequence[Track], compute: Callable[[Track], list[npt.NDArray[np.int16]] | str], jobs: int
) -> Iterator[tuple[Track, list[npt.NDArray[np.int16]] | str]]:
    """Yield each track, in order, with its frames and its copies' or the reason why it has none."""
    implementation = ThreadPoolExecutor(jobs)
    try:
        yield from zip(tracks, implementation.map(compute, tracks), strict=True)
    finally:
        implementation.shutdown(cancel_futures=True)


def _frames_of(
    track: Track, *, tables: Tables, expansion: Expansion | None, copied: set[str]
) -> list[npt.NDArray[np.int16]] | str:
    """Return int16 [n_mels, T] of a track and of each of its copies, or why it cannot be read."""
    spec = tables.spec
    try:
        clip = read_clip(track.path, spec.sample_rate_hz, min_samples=spec.n_fft)
        pcms = [clip.pcm]
        if expansion is not None and track.name in copied:
            place = (expansion.seed, zlib.crc32(track.name.encode()))
            generators = [np.random.default_rng((*place, number)) for number in range(expansion.copies)]
            pcms += [expansion.transform(clip.pcm, rng) for rng in generators]
        padded = [np.pad(pcm, (0, max(0, spec.n_fft - len(pcm)))) for pcm in pcms]
        return [log_mel(pcm, tables).frames_q9 for pcm in padded]
    except EdgeGenreError as error:
        return str(error)


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with their repetitions numbered: ``a, a, b`` becomes ``a, a#1, b``."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}#{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return tuple(out)


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError("names, groups and labels are lists of text")
    return tuple(array.tolist())


def _is_consistent(cache: FeatureCache) -> bool:
    """Return whether dtypes, shapes and values of a cache fit together."""
    n = len(cache.names)
    return bool(
        all(getattr(cache, name).dtype == dtype for name, dtype in _FRAMES_DTYPES.items())
        and cache.frames.ndim == 2
        and cache.frames.shape[0] == cache.spec.n_mels
        and cache.offsets.shape == (n + 1,)
        and cache.y.shape == cache.split.shape == (n,)
        and len(cache.groups) == n > 0
        and cache.offsets[0] == 0
        and cache.offsets[-1] == cache.frames.shape[1]
        and (np.diff(cache.offsets) > 0).all()
        and ((cache.y >= 0) & (cache.y < len(cache.labels))).all()
        and (cache.split <= NO_SPLIT).all()
    )
