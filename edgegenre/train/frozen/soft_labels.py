"""Soft labels of tracks: what a teacher thinks of each, made once, by name, whatever the student's front-end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.file_formats import parse_json, read_npz

__all__ = ["SoftLabels", "load_soft_labels", "save_soft_labels", "soft_labels_of"]

_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SoftLabels:
    """Probabilities of tracks.

    Attributes
    ----------
    labels
        Class names in the order of the probabilities.
    names
        Name of each track, unique.
    probabilities
        float32 [n, C], each row sums to 1.
    about
        JSON-ready: the command and the networks that made them.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    about: dict[str, Any]


def save_soft_labels(soft: SoftLabels, path: Path) -> None:
    """Write soft labels as one ``.npz`` without pickled objects; raises :class:`DataError` if that fails."""
    about = {"format_version": _VERSION, **soft.about}
    with written_beside(path) as handle:
        np.savez(
            handle,
            about=np.array(json.dumps(about)),
            labels=np.array(soft.labels, np.str_),
            names=np.array(soft.names, np.str_),
            probabilities=soft.probabilities,
        )


def load_soft_labels(path: Path) -> SoftLabels:
    """Read what :func:`save_soft_labels` wrote; raises :class:`DataError` for anything else."""
    try:
        arrays = read_npz(path, ("about", "labels", "names", "probabilities"))
        about = parse_json(str(arrays["about"]))
        labels, names = (tuple(arrays[key].tolist()) for key in ("labels", "names"))
        probabilities = arrays["probabilities"]
    except OSError as error:
        raise DataError(f"{path}: cannot read the soft labels ({error.strerror or error})") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: no file of `edgegenre soft-labels`, or damaged: make it again") from error
    if not isinstance(about, dict) or about.pop("format_version", None) != _VERSION:
        raise DataError(f"{path}: soft labels of another version than {_VERSION}: make them again")
    is_sound = (
        probabilities.dtype == np.float32
        and probabilities.shape == (len(names), len(labels))
        and len(set(names)) == len(names)
        and bool((probabilities >= 0).all())
        and bool(np.allclose(probabilities.sum(axis=1), 1, atol=1e-3))
    )
    if not is_sound:
        raise DataError(f"{path}: damaged soft labels, each row must be probabilities of one track: make them again")
    return SoftLabels(labels, names, probabilities, about)


def soft_labels_of(
    soft: SoftLabels, cache: FeatureCache, tracks: npt.NDArray[np.int64], labels: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    """Return the rows of the given tracks of a cache, float32 [len(tracks), C].

    Raises
    ------
    UsageError
        If the soft labels are of other classes, or one of the tracks has none.
    """
    if soft.labels != labels:
        raise UsageError(f"the soft labels are of {', '.join(soft.labels)}; the data set has {', '.join(labels)}")
    row_of = {name: row for row, name in enumerate(soft.names)}
    missing = [cache.names[track] for track in tracks if cache.names[track] not in row_of]
    if missing:
        raise UsageError(
            f"the soft labels have none for {len(missing)} of {len(tracks)} tracks, first {missing[0]}: "
            "make them of this data set"
        )
    return soft.probabilities[[row_of[cache.names[track]] for track in tracks]]
