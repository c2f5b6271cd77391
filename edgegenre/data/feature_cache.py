"""The feature cache: log-mel frames of every track in one file, with the hash of the front-end that computed them.

Windows are normalized when a crop is drawn, not in the cache.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json, read_npz
from edgegenre_runtime.frontend import FrontendSpec, Tables
from edgegenre_runtime.network.task import Task, TaskKind, make_task

from .dataset import SPLIT_NAMES
from .labels import check_labels, leaves_of

__all__ = ["NO_SPLIT", "FeatureCache", "crop", "load_cache", "save_cache", "thin"]

NO_SPLIT = len(SPLIT_NAMES)
"""Split code of a track that is in none of train (0), valid (1) and test (2)."""

_VERSION = 1
_LABELS_VERSION = 2  # of several classes a track, or of label paths, which an older edgegenre would misread
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
        int64 [n], index into ``labels``; of several labels the first.
    labels
        Sorted names of the classes; of a hierarchy the label paths of the tracks, leaves and inner nodes.
    names, groups
        Name and group of each track.
    split
        uint8 [n], 0 train, 1 valid, 2 test, 3 none (:data:`NO_SPLIT`).
    spec, spec_hash
        The front-end that computed the frames.
    task_kind
        What is learned from the labels.
    members
        Multi-label: bool [n, n_classes], which classes a track has; else None.
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
    task_kind: TaskKind = "single"
    members: npt.NDArray[np.bool_] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of a network: the labels, of a hierarchy its leaves."""
        return leaves_of(self.labels) if self.task_kind == "hierarchy" else self.labels

    def task(self) -> Task:
        """Return the task of a network for these labels, with thresholds of 0.5."""
        return make_task(self.task_kind, self.classes)

    def membership(self) -> npt.NDArray[np.bool_]:
        """Return which labels each track has, bool [n, len(labels)]."""
        return np.eye(len(self.labels), dtype=np.bool_)[self.y] if self.members is None else self.members

    def truth(self, tracks: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return what is right for some tracks, as :mod:`edgegenre.evaluate.metrics.truth` takes it.

        int64 [k] index into :attr:`classes`; of a hierarchy, into its taxonomy's nodes; multi-label, bool [k, C].
        """
        if self.members is not None:
            return self.members[tracks]
        taxonomy = self.task().taxonomy
        if taxonomy is None:
            return self.y[tracks].astype(np.int64)
        node = np.array([taxonomy.nodes.index(label) for label in self.labels], np.int64)
        return node[self.y[tracks]]

    def require_single(self, what: str) -> None:
        """Raise :class:`UsageError` unless each track has one of several labels."""
        if self.task_kind != "single":
            kind = "several labels a track" if self.task_kind == "multi" else "label paths"
            raise UsageError(f"{what} needs one label of several for each track; this data set has {kind}")

    def track(self, index: int) -> npt.NDArray[np.int16]:
        """Return the frames of a track, int16 [n_mels, T]."""
        return self.frames[:, self.offsets[index] : self.offsets[index + 1]]

    def tracks_of(self, split: str) -> npt.NDArray[np.int64]:
        """Return the indices of the tracks in ``"train"``, ``"valid"`` or ``"test"``, int64 [k]."""
        if split not in SPLIT_NAMES:
            raise UsageError(f"split {split!r} is unknown; there are: {', '.join(SPLIT_NAMES)}")
        return np.flatnonzero(self.split == SPLIT_NAMES.index(split)).astype(np.int64)


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
    if cache.task_kind != "single":
        about |= {"format_version": _LABELS_VERSION, "task": cache.task_kind}
    if cache.members is not None:
        arrays["members"] = cache.members
    with written_beside(path) as handle:
        np.savez(handle, about=np.array(json.dumps(about)), **arrays)


def load_cache(path: Path | str, tables: Tables) -> FeatureCache:
    """Read what :func:`save_cache` wrote.

    Raises
    ------
    DataError
        The file is missing, damaged, of another version, or of another front-end than ``tables``; or a class has a
        name that cannot be used (:func:`.labels.check_labels`).
    """
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder, not a feature cache: make one with  edgegenre data prepare")
    try:
        about = parse_json(str(read_npz(Path(path), ["about"])["about"]))
        version, task_kind = about["format_version"], about.get("task", "single")
        if version not in (_VERSION, _LABELS_VERSION):
            raise DataError(
                f"{path}: feature cache of format {version}; this edgegenre reads {_VERSION} and {_LABELS_VERSION}: "
                "build the cache again"
            )
        spec, spec_hash = FrontendSpec.from_dict(about["spec"]), about["spec_hash"]
        if spec_hash != tables.spec_hash:
            raise DataError(
                f"{path}: made with front-end {spec.name} ({spec_hash[:12]}), but {tables.spec.name} "
                f"({tables.spec_hash[:12]}) is asked for: build the cache again, or choose {spec.name}"
            )
        extra = ["members"] if task_kind == "multi" else []
        arrays: dict[str, Any] = read_npz(Path(path), [*_FRAMES_DTYPES, *extra])
        texts: dict[str, Any] = {name: _texts(array) for name, array in read_npz(Path(path), _TEXTS).items()}
    except OSError as error:
        raise DataError(f"{path}: cannot read the feature cache ({error.strerror or error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a feature cache, or damaged: build the cache again") from error
    cache = FeatureCache(**arrays, **texts, spec=spec, spec_hash=spec_hash, task_kind=task_kind)
    if not _is_consistent(cache):
        raise DataError(f"{path}: damaged feature cache, its arrays do not fit together: build the cache again")
    check_labels(cache.labels, path)
    try:
        cache.task()
    except ValueError as error:
        raise DataError(f"{path}: damaged feature cache, {error}: build the cache again") from error
    return cache


def thin(cache: FeatureCache, tables: Tables) -> FeatureCache:
    """Return the cache as a front-end of a longer hop makes it: the same frames, but not all of them.

    Raises
    ------
    DataError
        ``tables`` is not the cache's front-end with a multiple of its hop.
    """
    have, want = cache.spec, tables.spec
    step = want.hop_samples // have.hop_samples
    if dataclasses.replace(want, name=have.name, hop_samples=have.hop_samples) != have or (
        want.hop_samples % have.hop_samples
    ):
        raise DataError(f"front-end {want.name} is not {have.name} with a multiple of its hop: read the tracks again")
    tracks = [cache.track(i)[:, ::step] for i in range(len(cache.names))]
    offsets = np.cumsum([0, *(track.shape[1] for track in tracks)], dtype=np.int64)
    frames = np.concatenate(tracks, axis=1)
    return dataclasses.replace(cache, frames=frames, offsets=offsets, spec=want, spec_hash=tables.spec_hash)


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


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError("names, groups and labels are lists of text")
    return tuple(array.tolist())


def _is_consistent(cache: FeatureCache) -> bool:
    """Return whether dtypes, shapes and values of a cache fit together."""
    n = len(cache.names)
    return bool(
        all(getattr(cache, name).dtype == dtype for name, dtype in _FRAMES_DTYPES.items())
        and len(set(cache.labels)) == len(cache.labels)
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
        and cache.task_kind in get_args(TaskKind)
        and _has_members(cache)
    )


def _has_members(cache: FeatureCache) -> bool:
    """Return whether the tracks of a multi-label cache have classes, the first of which is ``y``; others have none."""
    if cache.members is None:
        return cache.task_kind != "multi"
    shape = (len(cache.names), len(cache.labels))
    is_matrix = cache.members.dtype == np.bool_ and cache.members.shape == shape
    return bool(is_matrix and cache.members[np.arange(shape[0]), cache.y].all())
