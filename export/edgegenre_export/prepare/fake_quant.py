"""Fake quantization: a float network that rounds as its int8 artifact will, for training.

Each layer's weights are rounded to 127 steps a side with a scale a channel, and its input to 256 steps that span what
it has seen, its running average where it learns. The layer's gradient passes the rounding as if there were none (Bengio
et al. 2013; Jacob et al., *Quantization and Training of Neural Networks*, 2018). A batch norm behind a convolution
multiplies whole channels, and with it their scales, so that it need not be folded first. Layers have the same names
and weights: state dicts pass to and from the network without.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["fake_quantize"]

_FOLLOW = 0.05  # how fast a range follows the batches while training
_TINY = 1e-8


class _Rounded(nn.Module):
    """What a fake-quantized layer does before it multiplies; mixed into a convolution or dense layer."""

    low: torch.Tensor
    high: torch.Tensor

    def _input(self, x: torch.Tensor) -> torch.Tensor:
        if self.training or self.high.isnan():
            with torch.no_grad():
                low, high = x.min().clamp(max=0), x.max().clamp(min=0)
                is_new = self.high.isnan()
                self.low.copy_(torch.where(is_new, low, self.low.lerp(low, _FOLLOW)))
                self.high.copy_(torch.where(is_new, high, self.high.lerp(high, _FOLLOW)))
        scale = ((self.high - self.low) / 255).clamp(min=_TINY)
        zero_point = (-128 - torch.round(self.low / scale)).clamp(-128, 127).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)

    def _weight(self, weight: torch.Tensor) -> torch.Tensor:
        scale = (weight.detach().flatten(1).abs().amax(dim=1) / 127).clamp(min=_TINY)
        zeros = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)


class _RoundedConvolution(_Rounded):
    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        output: torch.Tensor = super()._conv_forward(self._input(x), self._weight(weight), bias)  # type: ignore[misc]
        return output


class _RoundedLinear(_Rounded):
    weight: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self._input(x), self._weight(self.weight), self.bias)


def fake_quantize(network: nn.Module) -> None:
    """Make every convolution and dense layer round its input and its weights, in place.

    In training mode a layer's range follows its input; in eval mode the first batch sets it.
    """
    for layer in list(network.modules()):
        if isinstance(layer, _Rounded) or not isinstance(layer, (nn.Conv2d, nn.Linear)):
            continue
        mixin = _RoundedConvolution if isinstance(layer, nn.Conv2d) else _RoundedLinear
        layer.__class__ = type(f"Rounded{type(layer).__name__}", (mixin, type(layer)), {})
        for name in ("low", "high"):
            layer.register_buffer(name, torch.tensor(torch.nan), persistent=False)
