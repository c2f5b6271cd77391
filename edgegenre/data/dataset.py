"""The records of a data set: its tracks with their labels and groups."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError

from .labels import check_labels

__all__ = ["SPLIT_NAMES", "Dataset", "Track", "make_dataset"]

SPLIT_NAMES = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """One audio file of a data set.

    Attributes
    ----------
    name
        Path relative to the data set, with forward slashes; unique, and escaped where it is not printable.
    path
        Where the file is.
    label
        Its class.
    group
        Tracks of one group stay in one part of the split; usually the artist, by default the track's name.
    split
        ``"train"``, ``"valid"``, ``"test"`` as the data set says, or ``""``.
    """

    name: str
    path: Path
    label: str
    group: str
    split: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """Tracks sorted by name, and the sorted labels they have (at least two)."""

    tracks: tuple[Track, ...]
    labels: tuple[str, ...]


def make_dataset(tracks: Iterable[Track], source: object) -> Dataset:
    """Sort tracks into a data set.

    Parameters
    ----------
    tracks
        In any order.
    source
        Where they come from, for the messages.

    Raises
    ------
    DataError
        No track, tracks of one class only, two of the same name, or a class whose name cannot be used
        (:func:`.labels.check_labels`).
    """
    tracks = tuple(sorted(tracks, key=lambda track: track.name))
    labels = tuple(sorted({track.label for track in tracks}))
    if not tracks:
        raise DataError(f"{source}: no tracks found; looked for {' '.join(EXTENSIONS)} in one sub-folder per class")
    if len(labels) < 2:
        raise DataError(f"{source}: all {len(tracks)} tracks are of class {labels[0]!r}; two classes are needed")
    check_labels(labels, source)
    name, count = Counter(track.name for track in tracks).most_common(1)[0]
    if count > 1:
        raise DataError(f"{source}: {name} is there twice; the names of tracks must differ")
    return Dataset(tracks=tracks, labels=labels)
