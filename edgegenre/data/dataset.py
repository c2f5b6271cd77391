"""The records of a data set: its tracks with their labels and groups."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.task import TaskKind

from .labels import check_labels, leaves_of, split_label, task_of

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
        Its class, several of them as ``blues;rock``, or a label path as ``rock/punk``.
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

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes; more than one only in a multi-label data set."""
        return split_label(self.label)


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """Tracks sorted by name, the sorted classes or label paths they have (at least two), and what is learned."""

    tracks: tuple[Track, ...]
    labels: tuple[str, ...]
    task: TaskKind = "single"


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
        (:func:`.labels.check_labels`, :func:`.labels.task_of`).
    """
    tracks = tuple(sorted(tracks, key=lambda track: track.name))
    task = task_of((track.label for track in tracks), source)
    labels = tuple(sorted({label for track in tracks for label in track.labels}))
    if not tracks:
        raise DataError(f"{source}: no tracks found; looked for {' '.join(EXTENSIONS)} in one sub-folder per class")
    if len(leaves_of(labels) if task == "hierarchy" else labels) < 2:
        raise DataError(f"{source}: all {len(tracks)} tracks are of class {labels[0]!r}; two classes are needed")
    check_labels(labels, source)
    name, count = Counter(track.name for track in tracks).most_common(1)[0]
    if count > 1:
        raise DataError(f"{source}: {name} is there twice; the names of tracks must differ")
    return Dataset(tracks=tracks, labels=labels, task=task)
