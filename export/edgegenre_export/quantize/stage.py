"""Stage 2: the network whose weights lie on an int8 grid, and the float network's logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import nn

from edgegenre.models.logit_layer import logit_layer
from edgegenre_export.job import ExportJob
from edgegenre_export.prepare.stage import PreparedNetwork
from edgegenre_export.steps import Progress, Steps

from .equalize import equalize
from .weight_rounding import round_weights

__all__ = ["QuantizedNetwork", "quantize"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class QuantizedNetwork:
    """The network that is converted to int8, and the float network it stands for.

    Attributes
    ----------
    prepared
        The float network.
    logits
        The float network's logits on the calibration windows, float32 [N, C].
    equalized
        The float network with equalized channels, in eval mode; the float network itself if nothing is rounded.
    module
        ``equalized`` with weights on an int8 grid, in eval mode.
    logit_layer
        Path of the layer in ``module`` that produces the logits; None if there is none with a bias.
    input_ranges
        Range of each rounded layer's input, by the layer's path.
    """

    prepared: PreparedNetwork
    logits: npt.NDArray[np.float32]
    equalized: nn.Module
    module: nn.Module
    logit_layer: str | None
    input_ranges: Mapping[str, tuple[float, float]]


def quantize(job: ExportJob, prepared: PreparedNetwork, progress: Progress) -> QuantizedNetwork:
    """Equalize the channels and round the weights, if the recipe says so."""
    windows, top_db, network = job.calibration.windows, job.tables.spec.top_db, prepared.network
    rounds = job.recipe.weight_rounding == "covariance"
    steps = Steps("quantize", 3 if rounds else 1, progress)
    steps.begin(f"running the float network on {len(windows)} calibration windows")
    logits = network.logits(windows)
    if not rounds:
        return QuantizedNetwork(prepared, logits, network.module, network.module, None, {})
    steps.begin("equalizing the channels")
    equalized = equalize(network.module, windows, top_db)
    steps.begin("rounding the weights")
    rounded = round_weights(equalized, windows, top_db)
    layer = logit_layer(rounded.module, len(network.labels))
    return QuantizedNetwork(prepared, logits, equalized, rounded.module, layer, rounded.input_ranges)
