"""Labels as a data set writes them: one class, several of them (``blues;rock``), or a path (``rock/punk``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgegenre_runtime.audio.sound_gate import NOT_GENRES
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.task import TaskKind
from edgegenre_runtime.network.taxonomy import ancestors, split_path
from edgegenre_runtime.printable import printable

__all__ = ["check_labels", "leaves_of", "split_label", "task_of"]

_SEPARATOR = ";"


def split_label(text: str) -> tuple[str, ...]:
    """Return the classes of a track's label; spaces around them are left out."""
    return tuple(part.strip() for part in text.split(_SEPARATOR)) if _SEPARATOR in text else (text,)


def task_of(texts: Iterable[str], source: object) -> TaskKind:
    """Return what a network learns from labels: several at a time, a hierarchy, or one of several.

    Parameters
    ----------
    texts
        Labels as the data set writes them.
    source
        Where they come from, for the message.

    Raises
    ------
    DataError
        A label with an empty class or with one that is there twice, or a path with an empty name; or both kinds.
    """
    texts = set(texts)
    several = sorted(text for text in texts if _SEPARATOR in text)
    paths = sorted(text for text in texts if len(split_path(text)) > 1)
    if several and paths:
        raise DataError(
            f"{source}: has tracks of several classes ({printable(several[0])}) and label paths "
            f"({printable(paths[0])}); a network learns the one or the other"
        )
    for text in several:
        parts = split_label(text)
        if "" in parts:
            raise DataError(f"{source}: the label '{printable(text)}' has an empty class: leave it out")
        if len(set(parts)) != len(parts):
            raise DataError(f"{source}: the label '{printable(text)}' has a class twice: leave one out")
    for text in paths:
        if not all(split_path(text)):
            raise DataError(f"{source}: the label path '{printable(text)}' has an empty name")
    return "multi" if several else "hierarchy" if paths else "single"


def leaves_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the label paths that no other one lies below, in their order."""
    above = {node for path in labels for node in ancestors(path)[:-1]}
    return tuple(path for path in labels if path not in above)


def check_labels(labels: Iterable[str], source: object) -> None:
    """Refuse names that would fail at the end of an export, or that a device's answers use for something else.

    Parameters
    ----------
    labels
        Names of classes, or label paths.
    source
        Where they come from, for the message.

    Raises
    ------
    DataError
        A name that is empty, begins or ends with a space, has a control character or a byte that is not UTF-8, or is
        one of the answers ``silence``, ``noise`` and ``uncertain``.
    """
    for label in {name for path in labels for name in (path, *split_path(path))}:
        shown = printable(label)
        if label in NOT_GENRES:
            raise DataError(
                f"{source}: a class cannot be called {label!r}, which is what a device answers where it hears no "
                f"genre ({', '.join(NOT_GENRES)}): rename it"
            )
        if shown != label or label.strip() != label or not label:
            raise DataError(
                f"{source}: a class cannot be called '{shown}': names are UTF-8 on one line, without control "
                "characters and without spaces around them: rename it"
            )
