"""What a network is: the part of a checkpoint that says how to build it. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import CheckpointError

__all__ = ["POOLS", "ModelConfig"]

POOLS = ("mean", "attention")
"""How the features of a window can become one vector."""

_OPTIONAL = {"widths", "pool"}
_MAX_CLASSES = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a network is.

    Attributes
    ----------
    name
        Key of :data:`edgegenre.models.MODELS`.
    n_classes
        Number of logits.
    dropout
        Probability of dropping a unit in front of the head, 0 to 1.
    widths
        Of a pruned network: name, inputs and outputs of every layer with weights; empty for the network as it is
        written down (:mod:`.channel_widths`).
    pool
        How the features of a window become one vector: ``mean`` or ``attention`` (:mod:`.pool`).
    """

    name: str
    n_classes: int
    dropout: float = 0.5
    widths: tuple[tuple[str, int, int], ...] = ()
    pool: str = "mean"

    def to_dict(self) -> dict[str, Any]:
        """Return the config as JSON-ready keys and values; ``widths`` and ``pool`` only where they say something."""
        values: dict[str, Any] = {"name": self.name, "n_classes": self.n_classes, "dropout": self.dropout}
        if self.widths:
            values["widths"] = [list(row) for row in self.widths]
        return values if self.pool == "mean" else {**values, "pool": self.pool}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build a config from :meth:`to_dict`; raises :class:`CheckpointError` for unknown keys or wrong values."""
        known = {"name", "n_classes", "dropout"}
        if not isinstance(values, Mapping) or set(values) - _OPTIONAL != known:
            wrong = sorted((set(values) - _OPTIONAL) ^ known) if isinstance(values, Mapping) else values
            raise CheckpointError(f"model config has unknown or missing keys: {wrong}")
        name, n_classes, dropout = (values[key] for key in ("name", "n_classes", "dropout"))
        if not isinstance(name, str):
            raise CheckpointError(f"model config has the name {name!r}; it must be text")
        if type(n_classes) is not int or not 1 <= n_classes <= _MAX_CLASSES:
            raise CheckpointError(f"model config has {n_classes!r} classes; allowed are 1 to {_MAX_CLASSES}")
        if type(dropout) not in (int, float) or not 0 <= dropout < 1:
            raise CheckpointError(f"model config has dropout {dropout!r}; it must be a number from 0 to below 1")
        rows = values.get("widths", [])
        if not isinstance(rows, list) or not all(_is_width(row) for row in rows):
            raise CheckpointError("model config has widths that are not rows of a layer's name, inputs and outputs")
        widths = tuple((str(name), int(n_in), int(n_out)) for name, n_in, n_out in rows)
        pool = values.get("pool", "mean")
        if pool not in POOLS:
            raise CheckpointError(f"model config has the pool {pool!r}; there are: {', '.join(POOLS)}")
        return cls(name, n_classes, dropout, widths, pool)


def _is_width(row: Any) -> bool:
    is_row = isinstance(row, list) and len(row) == 3 and isinstance(row[0], str)
    return is_row and all(type(n) is int and n > 0 for n in row[1:])
