"""Which layers int8 hurts: the rounding is simulated in torch, and one group of layers at a time stays in float."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.evaluate.scoring import network_input
from edgegenre.models import Network
from edgegenre_export.inputs.reference_tracks import ReferenceTracks
from edgegenre_export.quantize.stage import QuantizedNetwork
from edgegenre_export.quantize.weight_rounding import round_inputs
from edgegenre_runtime.network.task import Task

__all__ = ["Attribution", "LayerGroup", "attribute"]

_WINDOWS = 32
_MANY_LAYERS = 12


@dataclasses.dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers by name, and the mean probability difference that is left when they alone stay in float."""

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
        """Return the names of the groups that int8 hurts most, at most ``n``, none that does not help."""
        return tuple(group.name for group in self.groups[:n] if group.difference < self.difference)


def attribute(quantized: QuantizedNetwork, tracks: ReferenceTracks) -> Attribution:
    """Simulate int8 in torch and find what each group of layers costs.

    Parameters
    ----------
    quantized
        The network with rounded weights and the ranges of its layers' inputs; it is left as it is.
    tracks
        Tracks to compare on; evenly spaced windows of them are taken.
    """
    top_db, floats = quantized.prepared.network.spec.top_db, quantized.equalized
    sample = network_input(_spaced(tracks.cells, _WINDOWS), top_db)
    task = quantized.prepared.network.task
    expected = _probabilities(floats, sample, task)
    rounded = copy.deepcopy(quantized.module)
    for name, ends in quantized.input_ranges.items():
        rounded.get_submodule(name).register_forward_pre_hook(round_inputs(*ends))

    def difference(network: nn.Module) -> float:
        return float(np.abs(_probabilities(network, sample, task) - expected).mean())

    groups = []
    for name, paths in _groups(quantized.prepared.network.module):
        mixed = copy.deepcopy(rounded)
        for path in paths:
            mixed.set_submodule(path, copy.deepcopy(floats.get_submodule(path)))
        groups.append(LayerGroup(name, difference(mixed)))
    return Attribution(difference(rounded), tuple(sorted(groups, key=lambda group: group.difference)))


def _probabilities(network: nn.Module, db: torch.Tensor, task: Task) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        return task.probabilities(network(db).numpy())


def _spaced(windows: npt.NDArray[np.int8], n: int) -> npt.NDArray[np.int8]:
    return windows[np.linspace(0, len(windows) - 1, min(n, len(windows))).astype(np.int64)]


def _groups(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return the paths of every layer with weights, one by one, or of a deep network of ours part by part."""
    kinds = (nn.Conv2d, nn.Linear)
    paths = [name for name, module in network.named_modules() if isinstance(module, kinds)]
    if len(paths) <= _MANY_LAYERS or not isinstance(network, Network):
        return [(path, [path]) for path in paths]
    names = {module: name for name, module in network.named_modules()}
    parts = (
        (name, [module for module in part.modules() if isinstance(module, kinds)]) for name, part in network.stages()
    )
    return [(name, [names[module] for module in modules]) for name, modules in parts if modules]
