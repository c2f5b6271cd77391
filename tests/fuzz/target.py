"""What a fuzz target is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["Target"]


@dataclasses.dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    name
        What a failure is reported under.
    write
        Writes one damaged input into an empty folder.
    read
        Reads it. It may raise an :class:`EdgeGenreError`; anything else is a fault.
    """

    name: str
    write: Callable[[Path, np.random.Generator], None]
    read: Callable[[Path], object]
