"""mn04's published weights as the start of :class:`.compact.Compact`: what of them fits, and how the rest is made up.

1. *Stem.* mn04 sees our frames doubled by linear interpolation and strides over two of them (:mod:`.mn04_input`);
   interpolation and the three taps together are three other taps on our own frames, derived here, exactly. The map
   of levels, an affine map of dB but for a soft floor, goes into the batch norm behind the stem; that the bands of
   the two front-ends differ a little (Slaney to 11 kHz, kaldi to 15 kHz) is left to the training.
2. *Squeeze-excites.* Each is replaced by the factor that it gives for an average input, which goes into the weights
   behind it. The average of a channel follows from its batch norm, whose output has mean β and deviation γ:
   ``E[relu(N(β, γ²))] = β Φ(β/γ) + γ φ(β/γ)``.
3. *Hard swish* becomes ReLU; blocks 14 and 15 and what follows them are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from edgegenre_runtime.frontend.spec import TOP_DB

from .compact import COMPACT_BLOCKS
from .mn04_input import PEAK_DB, design_mel_map

__all__ = ["is_mn04", "start_from_mn04"]

Tensors = Mapping[str, torch.Tensor]
_NORM = ("weight", "bias", "running_mean", "running_var")
_EXCITE = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
_EPS_THERE, _EPS_HERE = 1e-3, 1e-5


def is_mn04(given: Tensors) -> bool:
    """Return whether tensors are mn04's, by two of its keys."""
    return {"features.16.0.weight", "features.4.block.2.conc_se_layers.0.fc1.weight"} <= set(given)


def start_from_mn04(given: Tensors) -> dict[str, torch.Tensor]:
    """Return the state dict of a :class:`.compact.Compact` without its last convolution and head.

    Parameters
    ----------
    given
        mn04's state dict, as published.
    """
    made = _stem(given)
    for index in range(1, len(COMPACT_BLOCKS) + 1):
        prefix = f"features.{index}.block."
        excite = next((key for key in given if key.startswith(prefix) and key.endswith("fc1.weight")), None)
        at = -1 if excite is None else int(excite[len(prefix) :].split(".")[0])
        for key, tensor in given.items():
            if not key.startswith(prefix) or "conc_se_layers" in key:
                continue
            layer, rest = key[len(prefix) :].split(".", 1)
            number = int(layer) - (at >= 0 and int(layer) > at)
            made[f"{prefix}{number}.{rest}"] = tensor.clone()
        if at >= 0:
            made[f"{prefix}{at}.0.weight"] *= _average_excitation(given, prefix, at)[None, :, None, None]
    for key in [key for key in made if key.endswith("running_var")]:
        made[key] += _EPS_THERE - _EPS_HERE
    return made


def _stem(given: Tensors) -> dict[str, torch.Tensor]:
    """Return the stem's tensors: three taps on our own frames, and the map of levels in its batch norm."""
    w0, w1, w2 = given["features.0.0.weight"].unbind(dim=3)
    taps = torch.stack([0.75 * w0 + 0.25 * w1, 0.25 * w0 + 0.75 * (w1 + w2), 0.25 * w2], dim=3)
    made = {f"features.0.1.{name}": given[f"features.0.1.{name}"].clone() for name in _NORM}
    _, offset_db, filled = design_mel_map()
    nepers = math.log(10) / 10
    slope = nepers / 5
    level = ((float(np.mean(offset_db[filled])) + PEAK_DB - TOP_DB) * nepers + 4.5) / 5
    made["features.0.0.weight"] = taps * slope
    made["features.0.1.running_mean"] -= level * taps.sum(dim=(1, 2, 3))
    return made


def _average_excitation(given: Tensors, prefix: str, at: int) -> torch.Tensor:
    """Return the factor of each channel, float32 [n_expanded], for the mean that its batch norm gives it."""
    gamma, beta = (given[f"{prefix}{at - 1}.1.{name}"] for name in ("weight", "bias"))
    ratio = beta / gamma.abs().clamp(min=1e-6)
    density = torch.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    mean = beta * 0.5 * (1 + torch.erf(ratio / math.sqrt(2))) + gamma.abs() * density
    fc = {name: given[f"{prefix}{at}.conc_se_layers.0.{name}"] for name in _EXCITE}
    squeezed = torch.relu(fc["fc1.weight"] @ mean + fc["fc1.bias"])
    return torch.sigmoid(fc["fc2.weight"] @ squeezed + fc["fc2.bias"])
