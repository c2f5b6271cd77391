"""Folding the scale of the cells into the first layers of a network for standardized images.

Such a network expects values of mean 0 and deviation 1; a window holds 0 … 80 dB. Instead of a layer in front, the
affine map ``x → (x - 40 dB) / 20 dB`` is folded into what is there: into the running moments of the batch norm behind
the first convolution (whose weights keep their scale, so that learning rates stay valid), or into the
convolution's own weights and bias where no batch norm follows. The zero padding of the first layer then stands
for the floor, no longer for the mean.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["fold_input_scale"]

_MEAN_DB = 40.0
_DEVIATION_DB = 20.0


@torch.no_grad()
def fold_input_scale(network: nn.Module) -> None:
    """Convert a network for standardized input to dB above the floor, in place.

    The first convolution must have one input channel, and a bias or a batch norm right behind it.
    """
    leaves = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    first, norm = leaves[0], leaves[1]
    assert isinstance(first, nn.Conv2d)  # noqa: S101  # the networks of this package begin with one
    total = first.weight.sum(dim=(1, 2, 3))
    if first.bias is not None:
        first.weight /= _DEVIATION_DB
        first.bias -= total * (_MEAN_DB / _DEVIATION_DB)
        return
    assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101  # as above
    assert norm.running_mean is not None  # noqa: S101
    assert norm.running_var is not None  # noqa: S101
    norm.running_mean.mul_(_DEVIATION_DB).add_(total * _MEAN_DB)
    norm.running_var.add_(norm.eps).mul_(_DEVIATION_DB**2).sub_(norm.eps)
