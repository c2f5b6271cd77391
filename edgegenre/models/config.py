"""What a network is, and what every network offers beside its forward pass."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from edgegenre_runtime.errors import CheckpointError

__all__ = ["ModelConfig", "Network"]


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
    """

    name: str
    n_classes: int
    dropout: float = 0.5
    widths: tuple[tuple[str, int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the config as JSON-ready keys and values; ``widths`` only where there are any."""
        values = {"name": self.name, "n_classes": self.n_classes, "dropout": self.dropout}
        return {**values, "widths": [list(row) for row in self.widths]} if self.widths else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build a config from :meth:`to_dict`; raises :class:`CheckpointError` for unknown keys or odd widths."""
        known = {"name", "n_classes", "dropout"}
        if set(values) - {"widths"} != known:
            odd = sorted((set(values) - {"widths"}) ^ known)
            raise CheckpointError(f"model config has unknown or missing keys: {odd}")
        rows = values.get("widths", [])
        if not isinstance(rows, list) or not all(_is_width(row) for row in rows):
            raise CheckpointError("model config has widths that are not rows of a layer's name, inputs and outputs")
        widths = tuple((str(name), int(n_in), int(n_out)) for name, n_in, n_out in rows)
        return cls(**{**values, "widths": widths})


def _is_width(row: Any) -> bool:
    is_row = isinstance(row, list) and len(row) == 3 and isinstance(row[0], str)
    return is_row and all(type(n) is int and n > 0 for n in row[1:])


class Network(nn.Module, abc.ABC):
    """A network that knows its parts from input to head."""

    @abc.abstractmethod
    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return name and module of every part with parameters, input first; the last is the head."""

    def head_prefix(self) -> str:
        """Return what the keys of the head begin with in the state dict, e.g. ``"fc."``."""
        head = self.stages()[-1][1]
        (name,) = (name for name, module in self.named_modules() if module is head)
        return f"{name}."
