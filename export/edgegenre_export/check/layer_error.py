"""Which layers int8 hurts: the rounding is simulated in torch, and one group of layers at a time keeps its floats."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.models import Network
from edgegenre_export.prepare.fake_quant import fake_quantize, set_rounding
from edgegenre_export.quantize.weight_rounding import round_weights
from edgegenre_runtime.network.quantization import softmax

from .run_models import run_torch

__all__ = ["Attribution", "LayerGroup", "attribute"]

_CALIBRATION_WINDOWS = 32  # one batch: in eval mode the first one sets a layer's range
_WINDOWS = 32
_MANY_LAYERS = 12


@dataclasses.dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers by name, and the mean probability difference that is left when they alone keep their floats."""

    name: str
    difference: float


@dataclasses.dataclass(frozen=True, slots=True)
class Attribution:
    """The simulated rounding.

    Attributes
    ----------
    difference
        Mean difference of a window's probabilities between the float network and all layers rounded, 0 to 1.
    groups
        The group whose rounding costs most first.
    """

    difference: float
    groups: tuple[LayerGroup, ...]

    def worst(self, n: int = 3) -> tuple[str, ...]:
        """Return the names of the groups whose floats help most, at most ``n``, none that does not help."""
        return tuple(group.name for group in self.groups[:n] if group.difference < self.difference)


def attribute(
    network: nn.Module, calibration: npt.NDArray[np.int8], cells: npt.NDArray[np.int8], top_db: int
) -> Attribution:
    """Simulate int8 and tell what each group of layers costs.

    Parameters
    ----------
    network
        The float network; it is left as it is.
    calibration
        Windows that set the ranges, int8 [N, n_mels, frames].
    cells
        Windows to compare on, int8 [N, n_mels, frames]; evenly spaced ones are taken.
    top_db
        The spec's.
    """
    rounded = copy.deepcopy(round_weights(network, calibration, top_db)).eval()
    fake_quantize(rounded)
    set_rounding(rounded, False)
    run_torch(rounded, _spaced(calibration, _CALIBRATION_WINDOWS), top_db)
    sample = _spaced(cells, _WINDOWS)
    expected = softmax(run_torch(network, sample, top_db))

    def difference() -> float:
        return float(np.abs(softmax(run_torch(rounded, sample, top_db)) - expected).mean())

    set_rounding(rounded, True)
    everything, groups = difference(), []
    for name, part in _groups(rounded):
        kept = copy.deepcopy(part.state_dict())
        set_rounding(part, False)
        _copy_floats(network.get_submodule(_path(rounded, part)), part)
        groups.append(LayerGroup(name, difference()))
        part.load_state_dict(kept)
        set_rounding(part, True)
    return Attribution(everything, tuple(sorted(groups, key=lambda group: group.difference)))


def _path(network: nn.Module, part: nn.Module) -> str:
    path: str = next(name for name, module in network.named_modules() if module is part)
    return path


def _copy_floats(source: nn.Module, target: nn.Module) -> None:
    """Undo what :func:`round_weights` did to a part, a bias that it added included."""
    floats = source.state_dict()
    with torch.no_grad():
        for key, tensor in target.state_dict().items():
            tensor.copy_(floats[key] if key in floats else torch.zeros_like(tensor))


def _spaced(windows: npt.NDArray[np.int8], n: int) -> npt.NDArray[np.int8]:
    return windows[np.linspace(0, len(windows) - 1, min(n, len(windows))).astype(np.int64)]


def _groups(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return every layer with weights, or of a deep network of ours its parts from input to head."""
    kinds = (nn.Conv2d, nn.Linear)
    layers: list[tuple[str, nn.Module]]
    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)]
    if len(layers) <= _MANY_LAYERS or not isinstance(network, Network):
        return layers
    return [(name, part) for name, part in network.stages() if any(isinstance(m, kinds) for m in part.modules())]
