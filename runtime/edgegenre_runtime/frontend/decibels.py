"""Decibels: what one unit of a log-mel cell and one step of a window cell are worth, and the way there and back.

Nothing of this runs on the path from PCM to the network's input, which is integers alone. It is for what stands
around that path: a float network takes dB, augmentation works in dB, a plot shows dB.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CELL_ZERO_POINT",
    "DB_PER_Q9",
    "Q9_PER_DB",
    "cell_scale_db",
    "cells_to_db",
    "db_to_cells",
    "db_to_q9",
    "q9_to_db",
]

CELL_ZERO_POINT = -128
"""The window cell that stands for 0 dB above the floor: the zero point of the network's input."""

DB_PER_Q9 = 10.0 * math.log10(2.0) / 512.0
"""dB of power in one unit of the Q9 log2 power of a log-mel cell."""

Q9_PER_DB = 512.0 * math.log2(10.0) / 10.0
"""Units of the Q9 log2 power of a log-mel cell in one dB of power."""


def cell_scale_db(top_db: int) -> float:
    """Return what one step of a window cell is worth in dB, as the float32 that a network's input scale is."""
    return float(np.float32(top_db / 255))


def cells_to_db(cells: npt.NDArray[np.int8], top_db: int) -> npt.NDArray[np.float32]:
    """Return window cells int8 [...] as dB above the floor, float32 [...], 0 to ``top_db``."""
    db: npt.NDArray[np.float32] = (cells.astype(np.float32) - CELL_ZERO_POINT) * np.float32(cell_scale_db(top_db))
    return db


def db_to_cells(db: npt.NDArray[np.floating[Any]], top_db: int) -> npt.NDArray[np.int8]:
    """Return dB above the floor [...] as the nearest window cells int8 [...], clipped; halves go to even steps."""
    steps = np.rint(db * (255 / top_db)) + CELL_ZERO_POINT
    return np.asarray(np.clip(steps, -128, 127), dtype=np.int8)


def q9_to_db(frames_q9: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """Return log-mel frames in Q9 [...] as dB of power, float32 [...]."""
    db: npt.NDArray[np.float32] = frames_q9.astype(np.float32) * np.float32(DB_PER_Q9)
    return db


def db_to_q9(db: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int16]:
    """Return dB of power [...] as log-mel frames int16 [...] in Q9, clipped to what int16 holds."""
    return np.asarray(np.clip(np.rint(db / DB_PER_Q9), -32768, 32767), dtype=np.int16)
