"""Splits of a data set into train, valid and test: by track and by group (the artist), never by segment.

Windows of one song, or songs of one artist, on both sides of a split would measure memorization.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json

from .dataset import SPLIT_NAMES, Dataset
from .labels import leaves_of

__all__ = ["Split", "load_split", "save_split", "split_tracks"]

_FORMAT = "edgegenre-split"
_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """Names of the tracks of each part, sorted, and the seed of the split."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    seed: int

    def by_name(self) -> dict[str, str]:
        """Return the part (of :data:`SPLIT_NAMES`) of each track, by its name."""
        return {name: split for split in SPLIT_NAMES for name in getattr(self, split)}


def split_tracks(dataset: Dataset, seed: int, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)) -> Split:
    """Split a data set into train, valid and test, stratified by label, with every group in one part.

    A split in the data set is used as it is. Otherwise the groups of each class, the largest first and equal ones
    in random order, are assigned one by one to the part that is furthest below its fraction; none stays empty. A
    group with several labels counts as its most frequent one. Of a multi-label data set the rarest class is assigned
    first, and groups that an earlier class assigned count in the later ones (Sechidis et al. 2011). Tracks that are
    labeled at an inner node of a hierarchy all train where there are fewer than three groups of them.

    scikit-learn's ``StratifiedGroupKFold`` is as even (a test compares them), but is not part of the base install,
    and would change the splits of published figures.

    Parameters
    ----------
    dataset
        The data set.
    seed
        Seed of the order of the groups.
    fractions
        Of the tracks, for train, valid and test; positive, with sum 1.

    Raises
    ------
    UsageError
        Fractions that are not positive or do not add up to 1.
    DataError
        A class with fewer than three groups; a manifest's split that covers only a part of the tracks, leaves a
        part empty or has a group in two parts.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"split fractions are {fractions}; they must be positive and add up to 1")
    if any(track.split for track in dataset.tracks):
        return _split_of_dataset(dataset, seed)
    rng = np.random.default_rng(seed)
    is_leaf = set(leaves_of(dataset.labels))
    split_of: dict[str, str] = {}
    for label, sizes in _groups_by_label(dataset).items():
        groups = [group for group in sizes if group not in split_of]
        if len(sizes) < len(SPLIT_NAMES) and label in is_leaf:
            found = "one group" if len(sizes) == 1 else f"{len(sizes)} groups"
            raise DataError(
                f"class {label!r} has {found} of tracks; a split needs at least {len(SPLIT_NAMES)} per class: every "
                "track of a folder is a group, and in a manifest those with the same `group`, such as their artist"
            )
        if len(sizes) < len(SPLIT_NAMES):
            split_of |= dict.fromkeys(groups, SPLIT_NAMES[0])
            continue
        shuffled = [groups[i] for i in rng.permutation(len(groups))]
        split_of |= _assign(sorted(shuffled, key=lambda g: -sizes[g]), sizes, fractions, split_of)
    return _as_split({track.name: split_of[track.group] for track in dataset.tracks}, seed)


def save_split(split: Split, path: Path | str) -> None:
    """Write a split as JSON, beside and then renamed; raises :class:`DataError` if that fails."""
    document = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(split)}
    with written_beside(path) as handle:
        handle.write((json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def load_split(path: Path | str) -> Split:
    """Read what :func:`save_split` wrote; raises :class:`DataError` naming the file and what is wrong with it."""
    try:
        document = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the split ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not a split file, it is not JSON in UTF-8") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise DataError(f"{path}: not a split file written by edgegenre")
    if document.get("version") != _VERSION:
        raise DataError(f"{path}: split version {document.get('version')}; this edgegenre reads {_VERSION}")
    parts = [document.get(split) for split in SPLIT_NAMES]
    names = [name for part in parts if isinstance(part, list) for name in part]
    is_sound = all(isinstance(part, list) for part in parts) and all(isinstance(name, str) for name in names)
    if not is_sound or not isinstance(document.get("seed"), int) or len(set(names)) != len(names):
        raise DataError(f"{path}: damaged split; it needs a seed and {', '.join(SPLIT_NAMES)}, each name once")
    train, valid, test = (tuple(document[split]) for split in SPLIT_NAMES)
    return Split(train, valid, test, seed=document["seed"])


def _groups_by_label(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Return the tracks of each group, by class: of several labels, the rarest first; else of a group's main class."""
    counts: dict[str, Counter[str]] = {}
    for track in dataset.tracks:
        counts.setdefault(track.group, Counter()).update(track.labels)
    groups: dict[str, dict[str, int]] = {label: {} for label in dataset.labels}
    for group, labels in sorted(counts.items()):
        if dataset.task == "multi":
            for label, count in labels.items():
                groups[label][group] = count
        else:
            groups[min(labels, key=lambda lb: (-labels[lb], lb))][group] = labels.total()
    if dataset.task == "multi":
        return dict(sorted(groups.items(), key=lambda item: (len(item[1]), item[0])))
    return groups


def _assign(
    groups: Sequence[str],
    sizes: dict[str, int],
    fractions: tuple[float, float, float],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Assign groups of one class, in this order, to the parts; returns the part of each.

    ``sizes`` are the tracks of all groups of the class, and ``given`` the parts of those assigned before.
    """
    missing = {split: fraction * sum(sizes.values()) for split, fraction in zip(SPLIT_NAMES, fractions, strict=True)}
    for group, size in sizes.items():
        if group in given:
            missing[given[group]] -= size
    empty = [split for split in SPLIT_NAMES if split not in {given.get(group) for group in sizes}]
    split_of: dict[str, str] = {}
    for index, group in enumerate(groups):
        candidates = empty if len(groups) - index <= len(empty) else SPLIT_NAMES
        split = max(candidates, key=lambda name: missing[name])
        split_of[group] = split
        missing[split] -= sizes[group]
        if split in empty:
            empty.remove(split)
    return split_of


def _split_of_dataset(dataset: Dataset, seed: int) -> Split:
    """Return the split in the data set; raises :class:`DataError` if it is not a valid one."""
    part_of_group: dict[str, str] = {}
    for track in dataset.tracks:
        if not track.split:
            raise DataError(f"track {track.name} has no split, others have; give every track one, or none")
        if part_of_group.setdefault(track.group, track.split) != track.split:
            raise DataError(
                f"group {track.group!r} is in {part_of_group[track.group]} and in {track.split} ({track.name}); "
                "a group must be in one part only"
            )
    missing = [split for split in SPLIT_NAMES if split not in part_of_group.values()]
    if missing:
        raise DataError(f"the data set's split has no tracks for {', '.join(missing)}")
    return _as_split({track.name: track.split for track in dataset.tracks}, seed)


def _as_split(split_of: dict[str, str], seed: int) -> Split:
    """Return the names sorted by part."""
    parts = [tuple(sorted(n for n, part in split_of.items() if part == split)) for split in SPLIT_NAMES]
    return Split(parts[0], parts[1], parts[2], seed=seed)
