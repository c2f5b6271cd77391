"""The layer that produces the logits."""

from __future__ import annotations

from torch import nn

__all__ = ["logit_layer"]


def logit_layer(network: nn.Module, n_classes: int) -> str | None:
    """Return the path of the layer that is assumed to produce the logits; None without one that has a bias.

    It is the last dense layer or convolution with C outputs.
    """
    layers = [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and len(module.weight) == n_classes
    ]
    return layers[-1][0] if layers and layers[-1][1].bias is not None else None
