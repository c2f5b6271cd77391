"""What every network offers beside its forward pass."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Network"]


class Network(nn.Module, abc.ABC):
    """A network that knows its parts from input to head."""

    @abc.abstractmethod
    def stages(self) -> Sequence[tuple[str, nn.Module]]:
        """Return name and module of every part with parameters, input first; the last is the head."""

    def reach(self) -> tuple[int, int] | None:
        """Return bands and frames that a unit before the mean over time sees; None: what its layers in a row say."""
        return None

    @torch.no_grad()
    def set_regression(
        self, mean: torch.Tensor, deviation: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> None:
        """Make the head, one dense layer, a regression on standardized features, in place.

        Parameters
        ----------
        mean, deviation
            float32 [D], of what the head sees.
        weight, bias
            float32 [C, D] and [C], of the regression on ``(features - mean) / deviation``.
        """
        head = self.stages()[-1][1]
        assert isinstance(head, nn.Linear)  # noqa: S101  # the caller has checked it
        head.weight.copy_(weight / deviation)
        head.bias.copy_(bias - (weight / deviation) @ mean)

    def head_prefix(self) -> str:
        """Return what the keys of the head begin with in the state dict, e.g. ``"fc."``."""
        head = self.stages()[-1][1]
        (name,) = (name for name, module in self.named_modules() if module is head)
        return f"{name}."
