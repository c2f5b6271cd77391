"""Protocols: which tracks of a cache are for training, validation and test.

``filtered`` is the fault-filtered artist split of GTZAN, on which accuracy is reported. ``random`` is a plain
stratified 70/15/15 split and ``kfold10`` a stratified ten-fold one, as used for most published figures: artists and
replicas on both sides inflate accuracy. Grouped, both keep artists and replicas in one part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.data.dataset import SPLIT_NAMES, Dataset, Track
from edgegenre.data.feature_cache import NO_SPLIT, FeatureCache
from edgegenre.data.split import split_tracks
from edgegenre_runtime.errors import DataError, UsageError

from .duplicates import find_replicas
from .track_table import clip_name, gtzan_table

__all__ = ["FOLDS", "PROTOCOLS", "assign_protocol", "leaking_tracks", "protocol_groups"]

PROTOCOLS = ("filtered", "random", "kfold10")
FOLDS = 10
_TRAIN, _VALID, _TEST = range(3)
_VALID_SHARE, _TEST_SHARE = 0.15, 0.15


def assign_protocol(
    cache: FeatureCache, protocol: str, *, seed: int = 0, fold: int = 0, is_grouped: bool = False
) -> FeatureCache:
    """Return the cache with the split codes of a protocol; the frames are the same array.

    Parameters
    ----------
    cache
        Tracks; clips of GTZAN are recognized by name, other data is grouped by its own groups alone.
    protocol
        ``"filtered"`` (GTZAN only), ``"random"`` or ``"kfold10"``.
    seed
        Seed of the split; no effect on ``filtered``.
    fold
        0 to 9, which fold of ``kfold10`` is the test; the next one is for validation, the rest for training.
    is_grouped
        Whether artists and replicas stay in one part. ``filtered`` does so always.

    Raises
    ------
    UsageError
        An unknown protocol or fold, or ``filtered`` with ``is_grouped``.
    DataError
        ``filtered`` on tracks that are not GTZAN's; too few tracks or groups of a class.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol {protocol!r} is unknown; there are: {', '.join(PROTOCOLS)}")
    if not 0 <= fold < FOLDS:
        raise UsageError(f"fold is {fold}; it must be 0 to {FOLDS - 1}")
    if protocol == "filtered":
        if is_grouped:
            raise UsageError("the filtered split keeps artists together anyway: leave out the grouping")
        split = _filtered(cache.names)
    elif protocol == "random":
        cache.require_single("a protocol")
        split = _grouped_random(cache, seed) if is_grouped else _random(cache.y, seed)
    else:
        groups = protocol_groups(cache) if is_grouped else cache.names
        folds = _folds(cache.y, groups, np.random.default_rng(seed))
        split = np.full(len(folds), _TRAIN, np.uint8)
        split[folds == fold] = _TEST
        split[folds == (fold + 1) % FOLDS] = _VALID
    missing = [name for code, name in enumerate(SPLIT_NAMES) if not (split == code).any()]
    if missing:
        raise DataError(f"protocol {protocol} leaves no track for {', '.join(missing)}: the data set is too small")
    return dataclasses.replace(cache, split=split)


def protocol_groups(cache: FeatureCache) -> tuple[str, ...]:
    """Return the group of each track: GTZAN's artists, else the cache's groups, with the groups of replicas merged.

    A merged group has the name of its first.
    """
    table = gtzan_table()
    clips = [table.get(clip_name(name)) for name in cache.names]
    groups = [group if clip is None else clip.group for group, clip in zip(cache.groups, clips, strict=True)]
    if any(clips):
        merged_into: dict[str, str] = {}

        def root(group: str) -> str:
            while group in merged_into:
                group = merged_into[group]
            return group

        group_of = dict(zip(cache.names, groups, strict=True))
        for pair in find_replicas(cache):
            first, second = sorted((root(group_of[pair.a]), root(group_of[pair.b])))
            if pair.is_confirmed and first != second:
                merged_into[second] = first
        groups = [root(group) for group in groups]
    return tuple(groups)


def leaking_tracks(cache: FeatureCache, groups: Sequence[str]) -> int:
    """Return how many test tracks have another track of their group in training."""
    trained = {group for group, code in zip(groups, cache.split, strict=True) if code == _TRAIN}
    return sum(group in trained for group, code in zip(groups, cache.split, strict=True) if code == _TEST)


def _filtered(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    table = gtzan_table()
    unknown = [name for name in names if clip_name(name) not in table]
    if unknown:
        raise DataError(f"{unknown[0]}: not a clip of GTZAN (such as blues.00000), the filtered split is of those")
    parts = [table[clip_name(name)].filtered_split for name in names]
    return np.array([SPLIT_NAMES.index(part) if part else NO_SPLIT for part in parts], np.uint8)


def _random(y: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint8]:
    """Assign the tracks of each class in random order: 15 % test, 15 % validation, the rest training."""
    rng, split = np.random.default_rng(seed), np.full(len(y), _TRAIN, np.uint8)
    for label in np.unique(y):
        tracks = rng.permutation(np.flatnonzero(y == label))
        n_test, n_valid = round(_TEST_SHARE * len(tracks)), round(_VALID_SHARE * len(tracks))
        split[tracks[:n_test]] = _TEST
        split[tracks[n_test : n_test + n_valid]] = _VALID
    return split


def _grouped_random(cache: FeatureCache, seed: int) -> npt.NDArray[np.uint8]:
    """Split 70/15/15 as :func:`edgegenre.data.split.split_tracks` does, by the protocol's groups."""
    tracks = tuple(
        Track(name=name, path=Path(name), label=cache.labels[label], group=group)
        for name, label, group in zip(cache.names, cache.y, protocol_groups(cache), strict=True)
    )
    labels = tuple(label for index, label in enumerate(cache.labels) if (cache.y == index).any())
    part_of = split_tracks(Dataset(tracks, labels), seed).by_name()
    return np.array([SPLIT_NAMES.index(part_of[name]) for name in cache.names], np.uint8)


def _folds(y: npt.NDArray[np.int64], groups: Sequence[str], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Assign groups, the largest first and equal ones in random order, to ten folds; returns int64 [n].

    A group goes to the fold with the fewest tracks of its most frequent class, then the fewest of all.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    names = sorted(members)
    order = sorted((names[i] for i in rng.permutation(len(names))), key=lambda group: -len(members[group]))
    folds = np.empty(len(y), np.int64)
    counts = np.zeros((int(y.max()) + 1, FOLDS), np.int64)
    for group in order:
        classes = np.bincount(y[members[group]], minlength=len(counts))
        fold = int(np.lexsort((counts.sum(axis=0), counts[classes.argmax()]))[0])
        folds[members[group]] = fold
        counts[:, fold] += classes
    return folds
