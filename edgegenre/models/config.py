"""What a network is, and what every network offers beside its forward pass."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from edgegenre_runtime.frontend import CheckpointError

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
    """

    name: str
    n_classes: int
    dropout: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """Return the config as JSON-ready keys and values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build a config from :meth:`to_dict`; raises :class:`CheckpointError` for unknown keys."""
        known = {field.name for field in dataclasses.fields(cls)}
        if set(values) != known:
            raise CheckpointError(f"model config has unknown or missing keys: {sorted(set(values) ^ known)}")
        return cls(**values)


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
