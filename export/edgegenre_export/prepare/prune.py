"""Structured pruning: whole channels are cut away, so that work, size and time really fall.

Channels that depend on each other (both sides of a residual sum, a depthwise convolution and what feeds it) go
together: torch-pruning follows them through the network (Fang et al., *DepGraph: Towards Any Structural Pruning*,
2023). Every layer loses the same share, its channels of least magnitude first; what remains is a multiple of 4,
which is what SIMD kernels like.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import warnings

import torch

from edgegenre.evaluate.complexity import measure
from edgegenre.models import ModelConfig, Network, layer_widths
from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_runtime.errors import ExportError, UsageError
from edgegenre_runtime.frontend import FrontendSpec

__all__ = ["Pruned", "prune"]

_ROUND_TO = 4
_RATIOS = tuple(percent / 100 for percent in range(2, 96, 2))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """A smaller network.

    Attributes
    ----------
    config
        With the widths that are left: :func:`edgegenre.models.build` builds the network from it.
    network
        The network, with the weights that are left.
    ratio
        Share of each layer's channels that was requested.
    macs_before, macs_after, parameters_before, parameters_after
        Multiply-adds of one window, and learned numbers.
    """

    config: ModelConfig
    network: Network
    ratio: float
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int


def prune(trained: TrainedNetwork, removed_macs: float) -> Pruned:
    """Prune channels until at least a share of the multiply-adds is gone.

    Parameters
    ----------
    trained
        A network that edgegenre built; it is left as it is.
    removed_macs
        Share of the multiply-adds, above 0 and below 1.

    Raises
    ------
    UsageError
        If the share is out of range.
    ExportError
        If edgegenre does not know the network's parts, or no ratio of channels takes that much away.
    """
    network, config, spec = trained.module, trained.config, trained.spec
    if not 0 < removed_macs < 1:
        raise UsageError(f"the share of multiply-adds to remove is {removed_macs}; allowed are values between 0 and 1")
    if not isinstance(network, Network) or config is None:
        raise ExportError(f"{trained.name} cannot be pruned: it was not built by edgegenre")
    before = measure(config.name, network, spec)
    limit = (1 - removed_macs) * before.n_macs
    low, high = 0, len(_RATIOS)
    while low < high:
        middle = (low + high) // 2
        is_enough = measure(config.name, _cut(network, spec, _RATIOS[middle]), spec).n_macs <= limit
        low, high = (low, middle) if is_enough else (middle + 1, high)
    if low == len(_RATIOS):
        raise ExportError(
            f"{config.name} cannot lose {removed_macs:.0%} of its multiply-adds by pruning channels: its layers are "
            "too narrow; export without pruning, or train a smaller network"
        )
    smaller = _cut(network, spec, _RATIOS[low])
    after = measure(config.name, smaller, spec)
    return Pruned(
        config=dataclasses.replace(config, widths=layer_widths(smaller)),
        network=smaller,
        ratio=_RATIOS[low],
        macs_before=before.n_macs,
        macs_after=after.n_macs,
        parameters_before=before.n_parameters,
        parameters_after=after.n_parameters,
    )


def _cut(network: Network, spec: FrontendSpec, ratio: float) -> Network:
    import torch_pruning  # here: only these recipes need it

    smaller = copy.deepcopy(network).eval().requires_grad_(True)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch_pruning.pruner.BasePruner(
            smaller,
            torch.zeros(1, 1, spec.n_mels, spec.frames_per_window),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=[smaller.stages()[-1][1]],
            round_to=_ROUND_TO,
        ).step()
    return smaller
