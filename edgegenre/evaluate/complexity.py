"""Cost and reach of a network: parameters, multiply-adds, receptive field; measured by running it on one window."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from edgegenre.models import Network
from edgegenre.models.joined.base import Joined
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.inspect.multiply_adds import count_multiply_adds

__all__ = ["Complexity", "format_complexity", "measure"]


@dataclasses.dataclass(frozen=True, slots=True)
class Complexity:
    """Size, cost and receptive field of a network.

    Attributes
    ----------
    name
        Name in the table.
    n_parameters
        Number of parameters, head included.
    n_macs
        Multiply-adds of convolutions and dense layers for one window; a batch norm is part of its convolution.
    field_bands, field_frames
        Extent of the input that a unit before the global mean sees through convolutions and pools, in mel bands
        and frames; more than the window means that each such unit sees all of it. (What a unit sees through
        squeeze-excites, which take means over the whole window, is not counted.)
    field_s
        The frames in seconds: the time from the first sample of the first frame to the last of the last.
    """

    name: str
    n_parameters: int
    n_macs: int
    field_bands: int
    field_frames: int
    field_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready keys and values."""
        return dataclasses.asdict(self)


def measure(name: str, network: nn.Module, spec: FrontendSpec) -> Complexity:
    """Run a network on one empty window and count operations.

    Parameters
    ----------
    name
        Name in the table.
    network
        On the CPU; it is in eval mode afterwards.
    spec
        Front-end: the window's shape, and what a frame is in seconds.
    """
    calls: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
    counted = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [
        module.register_forward_hook(lambda layer, inputs, outputs: calls.append((layer, inputs[0], outputs)))
        for module in network.modules()
        if isinstance(module, counted)
    ]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 1, spec.n_mels, spec.frames_per_window))
    finally:
        for hook in hooks:
            hook.remove()
    called = list(dict.fromkeys(layer for layer, _, _ in calls))  # a layer that is called twice reaches no further
    side_by_side = network.members.values() if isinstance(network, Joined) else [network]
    bands, frames = np.max([_reach(part, called) for part in side_by_side], axis=0).tolist()
    return Complexity(
        name=name,
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        n_macs=sum(_macs(*call) for call in calls),
        field_bands=bands,
        field_frames=frames,
        field_s=((frames - 1) * spec.hop_samples + spec.n_fft) / spec.sample_rate_hz,
    )


def _macs(layer: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> int:
    if not isinstance(layer, (nn.Conv2d, nn.Linear)):
        return 0
    return count_multiply_adds("weighted", inputs=inputs.shape, weights=layer.weight.shape, outputs=outputs.shape)


def _reach(network: nn.Module, called: list[nn.Module]) -> tuple[int, int]:
    known = network.reach() if isinstance(network, Network) else None
    if known is not None:
        return known
    parts = set(network.modules())
    layers = [layer for layer in called if layer in parts]
    return _field(layers, 0), _field(layers, 1)


def _field(layers: list[nn.Module], axis: int) -> int:
    """Return the extent along bands (0) or frames (1): ``Σ (kernel - 1) · product of the strides before``, plus 1.

    A shortcut beside a block reaches less far than the block. Its strided convolution must not count twice: a
    1 x 1 convolution has no extent, and its stride is the block's.
    """
    extent, jump = 1, 1
    for layer in layers:
        if not isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            continue
        kernel, stride, apart = (_on(getattr(layer, name, 1), axis) for name in ("kernel_size", "stride", "dilation"))
        extent += (kernel - 1) * apart * jump
        if kernel > 1:
            jump *= stride
    return extent


def _on(value: Any, axis: int) -> int:
    return int(value[axis] if isinstance(value, tuple) else value)


def format_complexity(rows: list[Complexity], spec: FrontendSpec) -> str:
    """Return a table for people, smallest network first."""
    lines = [f"{'model':<20}{'parameters':>12}{'MMAC':>9}{'bands':>7}{'frames':>8}{'seconds':>9}"]
    lines += [
        f"{row.name:<20}{row.n_parameters:>12,}{row.n_macs / 1e6:>9.1f}{row.field_bands:>7}{row.field_frames:>8}"
        f"{row.field_s:>9.2f}"
        for row in sorted(rows, key=lambda row: row.n_macs)
    ]
    window = f"a window is {spec.n_mels} bands by {spec.frames_per_window} frames, {spec.window_s:.2f} s"
    return "\n".join([*lines, f"Receptive field in bands, frames and seconds of {spec.name}: {window}."])
