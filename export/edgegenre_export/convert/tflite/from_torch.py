"""torch → float32 TFLite."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgegenre_export.silence import converter
from edgegenre_runtime.frontend import FrontendSpec

__all__ = ["float_tflite", "frontend_tflite"]


def float_tflite(network: nn.Module, spec: FrontendSpec) -> bytes:
    """Convert a network to float32 TFLite, input [1, n_mels, frames, 1] (NHWC), output logits [1, C].

    Parameters
    ----------
    network
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    spec
        Front-end; determines the shape of a window.

    Raises
    ------
    ExportError
        If litert-torch cannot convert it.
    """
    example = torch.zeros(1, spec.n_mels, spec.frames_per_window, 1)
    with converter("litert-torch could not convert the network"):
        import litert_torch  # here: its import logs and warns

        channel_last = litert_torch.to_channel_last_io(_without_dense_layers(network), args=[0]).eval()
        return bytes(litert_torch.convert(channel_last, (example,)).model_content())


def frontend_tflite(front: nn.Module, spec: FrontendSpec) -> bytes:
    """Convert a float front-end to TFLite, input PCM float32 [1, window_samples].

    Raises
    ------
    ExportError
        If litert-torch cannot convert it.
    """
    with converter("litert-torch could not convert the front-end"):
        import litert_torch  # here: its import logs and warns

        return bytes(litert_torch.convert(front.eval(), (torch.zeros(1, spec.window_samples),)).model_content())


class _PointwiseLinear(nn.Linear):
    """A dense layer that converts to a 1 x 1 convolution.

    LiteRT's reference kernel of FULLY_CONNECTED rounds in float (google-ai-edge/LiteRT issue 8567), TFLite Micro's in
    integers: they differ by a step where the exact value lies near a half. CONV_2D is the same integers in both.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, n_in] to [B, n_out]; of any other rank it stays a dense layer."""
        if x.dim() != 2:
            return super().forward(x)
        weight = self.weight[:, :, None, None]
        return nn.functional.conv2d(x[:, :, None, None], weight, self.bias).flatten(1)


def _without_dense_layers(network: nn.Module) -> nn.Module:
    """Return a copy of a network in which dense layers are 1 x 1 convolutions of the same weights."""
    copied = copy.deepcopy(network)
    for name, layer in list(copied.named_modules()):
        if type(layer) is nn.Linear and name:
            pointwise = _PointwiseLinear(layer.in_features, layer.out_features, layer.bias is not None)
            pointwise.load_state_dict(layer.state_dict())
            copied.set_submodule(name, pointwise)
    return copied.eval()
