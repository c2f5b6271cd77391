"""From audio files to a feature cache; the split is drawn from the tracks that could be read."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError, EdgeGenreError, UsageError
from edgegenre_runtime.frontend import Tables, log_mel
from edgegenre_runtime.printable import aligned, n_columns
from edgegenre_runtime.workers import Workers, open_workers

from ..clips import read_clip, read_clip_and_notes
from ..dataset import SPLIT_NAMES, Dataset, Track
from ..feature_cache import NO_SPLIT, FeatureCache, save_cache
from ..split import Split, split_tracks

__all__ = ["CacheReport", "Expansion", "build_cache", "format_counts"]

_Frames = npt.NDArray[np.int16]
_T = TypeVar("_T")


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
    """The result of building a cache.

    Attributes
    ----------
    cache
        The cache that was written.
    split
        The split of the tracks in it.
    broken
        Path and reason of each track that could not be read.
    notes
        A sentence on each track that was read but is unusual, such as one with samples above full scale.
    """

    cache: FeatureCache
    split: Split
    broken: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]


def build_cache(
    dataset: Dataset,
    tables: Tables,
    out: Path | str,
    *,
    split: Split | None = None,
    seed: int = 0,
    strict: bool = False,
    workers: Workers | None = None,
    expansion: Expansion | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CacheReport:
    """Read every track, compute its log-mel frames and write the cache, whole or not at all.

    Parameters
    ----------
    dataset
        The tracks.
    tables
        The front-end.
    out
        The file to write.
    split
        What the tracks are for; a track that it does not name stays unused. Without it the split is drawn by
        :func:`.split.split_tracks` from the tracks that could be read.
    seed
        Of the split that is drawn.
    strict
        Whether one broken track is an error; otherwise broken tracks are left out and reported.
    workers
        Where the tracks are read; by default threads, one per processor, at most eight.
    expansion
        Altered copies of the training tracks; they have the track's label and group and are named ``TRACK#1``,
        ``TRACK#2`` ….
    progress
        Called with the files read and the files to read.

    Raises
    ------
    DataError
        A split of other tracks, a data set that cannot be split, a folder that cannot be written, no track that can
        be read, with ``strict`` any that cannot (the message names them all), or a class or part of the split that
        has lost all of its tracks.
    """
    if split is None:
        split_tracks(dataset, seed)  # what cannot be split is refused before hours of reading
    else:
        unknown = sorted(set(split.by_name()) - {track.name for track in dataset.tracks})
        if unknown:
            raise DataError(f"the split names {unknown[0]}, which is not in the data set: it belongs to another one")
    if not os.path.isdir(Path(out).parent):
        raise DataError(f"{out}: cannot write, there is no folder {Path(out).parent}")
    with contextlib.ExitStack() as stack:
        if workers is None:
            workers = stack.enter_context(open_workers(threads=min(8, os.cpu_count() or 1)))
        cache, split, broken, notes = _read(dataset, tables, split, seed, strict, workers, expansion, progress)
    save_cache(cache, out)
    return CacheReport(cache, split, broken, notes)


def _read(
    dataset: Dataset,
    tables: Tables,
    split: Split | None,
    seed: int,
    strict: bool,
    workers: Workers,
    expansion: Expansion | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[FeatureCache, Split, tuple[tuple[Path, str], ...], tuple[str, ...]]:
    """Return the cache, the split, the broken tracks and the notes; the rest is :func:`build_cache`'s."""
    read, n_files = functools.partial(_frames_of, tables=tables), len(dataset.tracks)
    read_tracks = _with_progress(workers.map(read, dataset.tracks, _ended_its_process), 0, n_files, progress)
    results = list(zip(dataset.tracks, read_tracks, strict=True))
    frames = {track.name: [result.frames] for track, result in results if not isinstance(result, str)}
    notes = tuple(note for _, result in results if not isinstance(result, str) for note in result.notes)
    broken = tuple((track.path, result) for track, result in results if isinstance(result, str))
    if broken and (strict or not frames):
        listing = "; ".join(reason for _, reason in broken)
        raise DataError(f"{len(broken)} of {n_files} files cannot be used: {listing}")
    readable = Dataset(tuple(track for track in dataset.tracks if track.name in frames), dataset.labels, dataset.task)
    split = _split_of_readable(readable, split, seed, len(broken))
    if expansion is not None:
        training = [track for track in readable.tracks if track.name in set(split.train)]
        copy = functools.partial(_copies_of, tables=tables, expansion=expansion)
        copies = _with_progress(workers.map(copy, training), n_files, n_files + len(training), progress)
        for track, of_track in zip(training, copies, strict=True):
            frames[track.name] += of_track
    return _assembled(readable, frames, split, tables), split, broken, notes


def format_counts(cache: FeatureCache) -> str:
    """Return a table of the tracks per class and part of the split, with the classes' names."""
    width, members = max(5, *map(n_columns, cache.labels)), cache.membership()
    heads = (*SPLIT_NAMES, *(["unused"] if (cache.split == NO_SPLIT).any() else []))
    lines = [f"{'class':{width}}" + "".join(f"{head:>8}" for head in heads)]
    for index, label in enumerate(cache.labels):
        counts = np.bincount(cache.split[members[:, index]], minlength=NO_SPLIT + 1)
        lines.append(aligned(label, width) + "".join(f"{count:>8}" for count in counts[: len(heads)]))
    return "\n".join(lines)


def _split_of_readable(readable: Dataset, split: Split | None, seed: int, n_broken: int) -> Split:
    """Return the split of the tracks that could be read; raises :class:`DataError` if a part or class is empty."""
    lost = f", after {n_broken} files that cannot be read were left out" if n_broken else ""
    present = {label for track in readable.tracks for label in track.labels}
    gone = [label for label in readable.labels if label not in present]
    if gone:
        raise DataError(f"class {gone[0]!r} has no track{lost}: repair its files, or remove the class")
    if split is None:
        try:
            return split_tracks(readable, seed)
        except DataError as error:
            raise DataError(f"{error}{lost}") from error
    names = {track.name for track in readable.tracks}
    train, valid, test = (tuple(n for n in getattr(split, part) if n in names) for part in SPLIT_NAMES)
    kept = Split(train, valid, test, split.seed)
    empty = [part for part in SPLIT_NAMES if getattr(split, part) and not getattr(kept, part)]
    if empty:
        raise DataError(f"the split has no track for {', '.join(empty)}{lost}")
    return kept


def _assembled(dataset: Dataset, frames: dict[str, list[_Frames]], split: Split, tables: Tables) -> FeatureCache:
    """Return the cache: track after track, each followed by its copies."""
    part_of = split.by_name()
    rows = [(track, one) for track in dataset.tracks for one in frames[track.name]]
    labels = [[dataset.labels.index(label) for label in track.labels] for track, _ in rows]
    members = None
    if dataset.task == "multi":
        members = np.zeros((len(rows), len(dataset.labels)), np.bool_)
        for row, indices in zip(members, labels, strict=True):
            row[indices] = True
    codes = [SPLIT_NAMES.index(part_of[track.name]) if track.name in part_of else NO_SPLIT for track, _ in rows]
    return FeatureCache(
        frames=np.concatenate([one for _, one in rows], axis=1),
        offsets=np.cumsum([0, *(one.shape[1] for _, one in rows)], dtype=np.int64),
        y=np.array([indices[0] for indices in labels], np.int64),
        labels=dataset.labels,
        names=_numbered([track.name for track, _ in rows]),
        groups=tuple(track.group for track, _ in rows),
        split=np.array(codes, np.uint8),
        spec=tables.spec,
        spec_hash=tables.spec_hash,
        task_kind=dataset.task,
        members=members,
    )


def _with_progress(
    results: Iterable[_T], done: int, total: int, progress: Callable[[int, int], None] | None
) -> list[_T]:
    """Collect results; ``progress`` is called with ``done`` plus their number so far."""
    collected = []
    for result in results:
        collected.append(result)
        if progress is not None:
            progress(done + len(collected), total)
    return collected


class _ReadTrack(NamedTuple):
    """Frames int16 [n_mels, T] of a track, and notes on its file."""

    frames: _Frames
    notes: tuple[str, ...]


def _frames_of(track: Track, *, tables: Tables) -> _ReadTrack | str:
    """Return a track's frames, or why it cannot be read."""
    spec = tables.spec
    try:
        clip, notes = read_clip_and_notes(track.path, spec.sample_rate_hz, min_samples=spec.n_fft)
        frames = log_mel(clip.pcm, tables).frames_q9
        if frames.max() < tables.silence_q9:
            notes += (f"{track.path}: is silent from end to end: its class learns silence from it",)
        return _ReadTrack(frames, notes)
    except EdgeGenreError as error:
        return str(error)


def _ended_its_process(track: Track) -> _ReadTrack | str:
    """Return what is said of a track whose reading ends its process each time."""
    return f"{track.path}: the process that read it ended each time (out of memory, or a crash of the decoder)"


def _copies_of(track: Track, *, tables: Tables, expansion: Expansion) -> list[_Frames]:
    """Return int16 [n_mels, T] of each altered copy of a track that could be read before."""
    pcm = read_clip(track.path, tables.spec.sample_rate_hz, min_samples=tables.spec.n_fft).pcm
    place = (expansion.seed, zlib.crc32(track.name.encode()))
    generators = [np.random.default_rng((*place, number)) for number in range(expansion.copies)]
    altered = [expansion.transform(pcm, rng) for rng in generators]
    padded = [np.pad(copy, (0, max(0, tables.spec.n_fft - len(copy)))) for copy in altered]
    return [log_mel(copy, tables).frames_q9 for copy in padded]


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names with their repetitions numbered: ``a, a, b`` becomes ``a, a#1, b``."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}#{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return tuple(out)
