"""Names of classes: what a bundle, a terminal and the answers of a device can hold."""

from __future__ import annotations

from collections.abc import Iterable

from edgegenre_runtime.audio.sound_gate import NOT_GENRES
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.printable import printable

__all__ = ["check_labels"]


def check_labels(labels: Iterable[str], source: object) -> None:
    """Refuse names that would fail at the end of an export, or that a device's answers use for something else.

    Parameters
    ----------
    labels
        Names of classes.
    source
        Where they come from, for the message.

    Raises
    ------
    DataError
        A name that is empty, begins or ends with a space, has a control character or a byte that is not UTF-8, or is
        one of the answers ``silence``, ``noise`` and ``uncertain``.
    """
    for label in labels:
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
