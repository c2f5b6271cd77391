"""What a head over window embeddings is: its kind and sizes, its weights and its state by name and shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import BundleError, UsageError

__all__ = ["ATTENTION_HEADS", "HEADS", "NO_SCORE", "HeadConfig", "StatePart", "check_head"]

HEADS = ("mean", "attention", "gru", "transformer")
"""The kinds of heads."""

NO_SCORE = -1e30
"""Attention's largest score before any window: what it is compared with is larger."""

ATTENTION_HEADS = 4
"""Heads of the transformer's attention; the width is a multiple of it."""

_MAX_SIZE = 1 << 16
_MAX_MEMORY = 1024


def check_head(kind: str) -> str:
    """Return the kind of a head; raises :class:`UsageError` if it is unknown."""
    if kind not in HEADS:
        raise UsageError(f"head {kind!r} is unknown; there are: {', '.join(HEADS)}")
    return kind


@dataclasses.dataclass(frozen=True, slots=True)
class StatePart:
    """A tensor of the state: its shape, what it is before any window, and whether it is a sum over windows."""

    shape: tuple[int, ...]
    initial: float = 0.0
    is_sum: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class HeadConfig:
    """What a head is.

    Attributes
    ----------
    kind
        One of :data:`HEADS`.
    embedding_size
        Length of a window's embedding.
    n_classes
        Number of logits.
    width
        Units inside; 0 for ``mean``.
    memory
        Windows that a transformer looks back on, this one included; 0 for the others, whose state holds all.
    """

    kind: str
    embedding_size: int
    n_classes: int
    width: int
    memory: int

    @property
    def state(self) -> dict[str, StatePart]:
        """The tensors of the state by name, in the order of the exported models' inputs and outputs."""
        D, W, N = self.embedding_size, self.width, self.memory
        if self.kind == "mean":
            return {"total": StatePart((D,), is_sum=True), "count": StatePart((1,), is_sum=True)}
        if self.kind == "attention":
            return {
                "largest": StatePart((1,), NO_SCORE),
                "numerator": StatePart((D,), is_sum=True),
                "denominator": StatePart((1,), is_sum=True),
            }
        if self.kind == "gru":
            return {"hidden": StatePart((W,))}
        return {"recent": StatePart((N, W)), "is_filled": StatePart((N,))}

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by name; a dense layer's are [outputs, inputs]."""
        D, W, C, N = self.embedding_size, self.width, self.n_classes, self.memory
        shapes: dict[str, tuple[int, ...]] = {"center": (D,), "scale": (D,)}
        dense = {"mean": {"answer": (C, D)}, "attention": {"key": (W, D), "answer": (C, D)}}.get(self.kind)
        if self.kind == "attention":
            shapes["query"] = (W,)
        if self.kind == "gru":
            dense = {"project": (W, D), "gates_in": (3 * W, W), "gates_hidden": (3 * W, W), "answer": (C, W)}
        if self.kind == "transformer":
            dense = {"project": (W, D), "query": (W, W), "key": (W, W), "value": (W, W), "joined": (W, W)}
            dense |= {"expand": (2 * W, W), "contract": (W, 2 * W), "answer": (C, W)}
            shapes["age"] = (N, W)
        for name, shape in (dense or {}).items():
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """Return the config as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> HeadConfig:
        """Build a config from :meth:`to_dict`; raises :class:`BundleError` for unknown keys or wrong values."""
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, Mapping) or sorted(values) != sorted(names):
            raise BundleError(f"a head is described by {', '.join(names)} and nothing else")
        kind, *sizes = (values[name] for name in names)
        is_whole = all(type(size) is int and 0 <= size <= _MAX_SIZE for size in sizes)
        if kind not in HEADS or not is_whole:
            raise BundleError(f"a head is one of {', '.join(HEADS)} with whole sizes from 0 to {_MAX_SIZE}")
        config = cls(kind, *sizes)
        if min(config.embedding_size, config.n_classes) < 1 or (config.width < 1) != (kind == "mean"):
            raise BundleError(f"a head of kind {kind} cannot have the sizes {sizes}")
        if (kind == "transformer") != (0 < config.memory <= _MAX_MEMORY) or config.width % ATTENTION_HEADS:
            raise BundleError(f"a head of kind {kind} cannot have width {config.width} and memory {config.memory}")
        return config
