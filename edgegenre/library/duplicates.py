"""The same recording in two files that differ: nearly the same length and nearly the same embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.library.playlists.nearest import widened

__all__ = ["Pair", "near_duplicates"]

_BLOCK_ROWS = 1024  # times as many others at a time: 4 MB of similarities


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Two rows and the cosine of the angle between their embeddings."""

    one: int
    other: int
    similarity: float


def near_duplicates(
    embeddings: npt.NDArray[np.float16],
    durations_s: npt.NDArray[np.float64],
    least: float,
    within_s: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Pair]:
    """Return the pairs of a track and its nearest neighbor that are similar enough, the most similar first.

    Rows are compared in the order of their lengths, each with those that are at most ``within_s`` longer, a block with
    a block at a time: memory stays that of the float16 matrix, and the time that of comparing lengths that meet.

    Parameters
    ----------
    embeddings
        float16 [n, D], finite.
    durations_s
        float64 [n], seconds.
    least
        The least cosine of a pair.
    within_s
        The largest difference of two lengths, in seconds.
    progress
        Called with (done, total) blocks.
    """
    order = np.argsort(durations_s, kind="stable")
    lengths = durations_s[order]
    n, n_blocks = len(order), -(-len(order) // _BLOCK_ROWS)
    best, nearest = np.full(n, -2.0, np.float32), np.full(n, -1, np.int64)
    for first in range(0, n, _BLOCK_ROWS):
        rows = np.arange(first, min(first + _BLOCK_ROWS, n))
        block = _unit(embeddings[order[rows]])
        end = int(np.searchsorted(lengths, lengths[rows[-1]] + within_s, "right"))
        for start in range(first, end, _BLOCK_ROWS):
            others = np.arange(start, min(start + _BLOCK_ROWS, end))
            cosines = block @ (block if start == first else _unit(embeddings[order[others]])).T
            is_apart = lengths[others][None, :] - lengths[rows][:, None] > within_s
            cosines[is_apart | (others[None, :] <= rows[:, None])] = -2
            at = cosines.argmax(axis=1)
            _keep(best, nearest, rows, others[at], cosines[np.arange(len(rows)), at])
            at = cosines.argmax(axis=0)
            _keep(best, nearest, others, rows[at], cosines[at, np.arange(len(others))])
        progress(first // _BLOCK_ROWS + 1, n_blocks)
    return _pairs(best, nearest, order, least)


def _unit(block: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    vectors = widened(block)
    unit: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _keep(
    best: npt.NDArray[np.float32],
    nearest: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64],
    cosines: npt.NDArray[np.float32],
) -> None:
    """Note the neighbors that are nearer than those known."""
    is_nearer = cosines > best[rows]
    best[rows[is_nearer]], nearest[rows[is_nearer]] = cosines[is_nearer], others[is_nearer]


def _pairs(
    best: npt.NDArray[np.float32], nearest: npt.NDArray[np.int64], order: npt.NDArray[np.int64], least: float
) -> list[Pair]:
    found = np.flatnonzero(best >= least)
    pairs: dict[tuple[int, int], float] = {}
    for row in found[np.argsort(-best[found], kind="stable")].tolist():
        one, other = sorted((int(order[row]), int(order[nearest[row]])))
        pairs.setdefault((one, other), float(best[row]))
    return [Pair(one, other, similarity) for (one, other), similarity in pairs.items()]
