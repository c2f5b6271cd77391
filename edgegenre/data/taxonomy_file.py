"""A taxonomy as a CSV file, ``label,parent``, which makes label paths of the plain labels of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.taxonomy import join_path, split_path
from edgegenre_runtime.printable import printable

from .feature_cache import FeatureCache
from .labels import check_labels, leaves_of
from .sources.manifest import csv_rows

__all__ = ["label_paths", "read_taxonomy", "with_taxonomy"]


def read_taxonomy(path: Path | str) -> dict[str, str]:
    """Read a taxonomy.

    Parameters
    ----------
    path
        CSV in UTF-8 with a header line and the columns ``label`` and ``parent``; the parent of the top level is empty.

    Returns
    -------
    dict
        From each label to its path, such as ``punk`` to ``rock/punk``.

    Raises
    ------
    DataError
        Naming file and line: not such a file, a label without a name or with two parents, a parent that is not listed,
        or labels in a circle.
    """
    parents: dict[str, str] = {}
    for line, row in csv_rows(Path(path), {"label": (), "parent": ()}):
        label, parent = row["label"], row["parent"]
        where = f"{path} line {line}"
        if not label:
            raise DataError(f"{where}: the label is empty")
        if any(len(split_path(name)) > 1 or ";" in name for name in (label, parent)):
            raise DataError(
                f"{where}: '{printable(label)}' of '{printable(parent)}': names, not paths, are needed here"
            )
        if label in parents:
            raise DataError(
                f"{where}: {printable(label)} has two parents, '{printable(parents[label])}' and "
                f"'{printable(parent)}': leave one out"
            )
        parents[label] = parent
    for label, parent in parents.items():
        if parent and parent not in parents:
            raise DataError(f"{path}: {printable(label)} is below '{printable(parent)}', which has no line of its own")
    if not parents:
        raise DataError(f"{path}: the taxonomy has no labels")
    check_labels(parents, path)
    return {label: _path_of(label, parents, path) for label in parents}


def label_paths(labels: Sequence[str], paths: dict[str, str], source: object) -> tuple[str, ...]:
    """Return the path of each label of a data set or network.

    Parameters
    ----------
    labels
        Plain labels.
    paths
        What :func:`read_taxonomy` returned.
    source
        The taxonomy, for the message.

    Raises
    ------
    DataError
        A label that the taxonomy does not have, or a label of the taxonomy that has none below it and no examples.
    """
    unknown = [label for label in labels if label not in paths]
    if unknown:
        raise DataError(f"{source}: has no line for the class {printable(unknown[0])!r}: add it, with its parent")
    without = sorted(set(leaves_of(list(paths.values()))) - {paths[label] for label in labels})
    if without:
        raise DataError(f"{source}: {without[0]} has no examples in the data: leave its line out, or add some")
    return tuple(paths[label] for label in labels)


def with_taxonomy(cache: FeatureCache, path: Path | str) -> FeatureCache:
    """Return a cache whose plain labels have become the label paths of a taxonomy file.

    Raises
    ------
    DataError
        What :func:`read_taxonomy` and :func:`label_paths` raise.
    UsageError
        A cache of several labels a track, or of label paths.
    """
    cache.require_single(f"{path}: a taxonomy")
    paths = label_paths(cache.labels, read_taxonomy(path), path)
    labels = tuple(sorted(paths))
    index = np.array([labels.index(label) for label in paths], np.int64)
    return dataclasses.replace(cache, labels=labels, y=index[cache.y], task_kind="hierarchy")


def _path_of(label: str, parents: dict[str, str], source: object) -> str:
    names = [label]
    while parent := parents[names[-1]]:
        if parent in names:
            circle = " → ".join(printable(name) for name in [*names, parent])
            raise DataError(f"{source}: the parents go in a circle: {circle}")
        names.append(parent)
    return join_path(reversed(names))
