"""A tree of genres, written as label paths such as ``rock/punk``; the network knows the leaves, the tree the rest."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Taxonomy", "ancestors", "build_taxonomy", "join_path", "split_path"]

_SLASH = re.compile(r"(?<! )/(?! )")  # "Old-Time / Historic" is one name


def split_path(path: str) -> tuple[str, ...]:
    """Return the names of a label path from the top level down; a slash beside a space is part of a name."""
    return tuple(_SLASH.split(path))


def join_path(names: Iterable[str]) -> str:
    """Return the label path of names from the top level down."""
    return "/".join(names)


def ancestors(path: str) -> tuple[str, ...]:
    """Return the nodes from the top level down to a node, itself included: ``("rock", "rock/punk")``."""
    names = split_path(path)
    return tuple(join_path(names[:level]) for level in range(1, len(names) + 1))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Taxonomy:
    """A tree of ``K`` nodes over ``C`` leaves, which are the network's classes.

    Attributes
    ----------
    leaves
        Label paths in the order of the network's outputs.
    nodes
        Label paths of all nodes, sorted, so that a parent stands before its children.
    is_below
        bool [K, C], whether a leaf is a node or below it.
    children
        Indices of the nodes directly below each node, by its path; the top level is below ``""``.
    n_levels
        Levels of the deepest leaf.
    """

    leaves: tuple[str, ...]
    nodes: tuple[str, ...]
    is_below: npt.NDArray[np.bool_]
    children: Mapping[str, tuple[int, ...]]
    n_levels: int

    def node_probabilities(self, leaves: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the probability of every node, float32 [..., K]: the sum over its leaves, float [..., C].

        A node is therefore never less probable than one below it.
        """
        return np.stack([leaves[..., row].sum(axis=-1) for row in self.is_below], axis=-1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as nested objects by name, ``{"rock": {"punk": {}}}``, for who reads it without this code."""
        tree: dict[str, Any] = {}
        for node in self.nodes:
            *above, name = split_path(node)
            below = tree
            for part in above:
                below = below[part]
            below[name] = {}
        return tree

    def level(self, node: int) -> int:
        """Return the level of a node, 1 for the top."""
        return len(split_path(self.nodes[node]))

    def nodes_of_level(self, level: int) -> tuple[int, ...]:
        """Return the nodes of a level."""
        return tuple(node for node in range(len(self.nodes)) if self.level(node) == level)

    def descend(
        self, node_probabilities: npt.NDArray[np.floating] | Sequence[float], thresholds: Sequence[float] = ()
    ) -> tuple[int, ...]:
        """Return the nodes of the answer from the top level down.

        On each level the most probable child of the node above is taken; the answer ends above the first node whose
        probability is below its level's threshold.

        Parameters
        ----------
        node_probabilities
            float [K].
        thresholds
            One per level; none: down to a leaf.
        """
        path: list[int] = []
        while below := self.children[self.nodes[path[-1]] if path else ""]:
            best = max(below, key=lambda node: float(node_probabilities[node]))
            if thresholds and node_probabilities[best] < thresholds[len(path)]:
                break
            path.append(best)
        return tuple(path)


def build_taxonomy(leaves: Sequence[str]) -> Taxonomy:
    """Return the tree of label paths.

    Parameters
    ----------
    leaves
        Label paths of the network's classes, in the order of its outputs.

    Raises
    ------
    ValueError
        No leaf, a path with an empty name, one that is there twice, or a leaf that lies above another.
    """
    for path in leaves:
        if not all(name.strip() for name in split_path(path)):
            raise ValueError(f"label path {path!r} has an empty name")
    if not leaves or len(set(leaves)) != len(leaves):
        raise ValueError("the leaves of a taxonomy must differ, and there must be one")
    chains = {path: ancestors(path) for path in leaves}
    above = {node for chain in chains.values() for node in chain[:-1]}
    both = sorted(above & set(leaves))
    if both:
        raise ValueError(f"{both[0]!r} is a class of the network and has others below it")
    nodes = tuple(sorted({node for chain in chains.values() for node in chain}, key=split_path))
    index = {node: i for i, node in enumerate(nodes)}
    children: dict[str, tuple[int, ...]] = dict.fromkeys(("", *nodes), ())
    for node in nodes:
        chain = ancestors(node)
        children[chain[-2] if len(chain) > 1 else ""] += (index[node],)
    is_below = np.array([[node in chains[leaf] for leaf in leaves] for node in nodes], dtype=np.bool_)
    return Taxonomy(tuple(leaves), nodes, is_below, children, max(map(len, chains.values())))
