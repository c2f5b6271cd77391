"""What every network offers beside its forward pass."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from torch import nn

__all__ = ["Network"]


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
