"""Initialization of :class:`.compact.Compact` from mn04's published weights.

1. *Stem.* mn04's input is our frames doubled by linear interpolation and strides over two of them
   (:mod:`.published.mn04_input`); interpolation and the three taps together are three other taps on our frames,
   derived here exactly. The map of levels, an affine map of dB but for a soft floor, goes into the batch norm behind
   the stem; that the bands of the two front-ends differ a little (Slaney to 11 kHz, kaldi to 15 kHz) is left to
   training.
2. *Squeeze-excites.* Each is replaced by its factor for an average input, which is folded into the weights
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
from .published.mn04_input import PEAK_DB, design_mel_map

__all__ = ["start_from_mn04"]

Tensors = Mapping[str, torch.Tensor]
_NORM = ("weight", "bias", "running_mean", "running_var")
_EXCITE = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")
_EPS_THERE, _EPS_HERE = 1e-3, 1e-5


def start_from_mn04(published: Tensors) -> dict[str, torch.Tensor]:
    """Return the state dict of a :class:`.compact.Compact` without its last convolution and head.

    Parameters
    ----------
    published
        mn04's state dict.
    """
    state = _stem(published)
    for index in range(1, len(COMPACT_BLOCKS) + 1):
        prefix = f"features.{index}.block."
        excite = next((key for key in published if key.startswith(prefix) and key.endswith("fc1.weight")), None)
        at = -1 if excite is None else int(excite[len(prefix) :].split(".")[0])
        for key, tensor in published.items():
            if not key.startswith(prefix) or "conc_se_layers" in key:
                continue
            layer, rest = key[len(prefix) :].split(".", 1)
            number = int(layer) - (at >= 0 and int(layer) > at)
            state[f"{prefix}{number}.{rest}"] = tensor.clone()
        if at >= 0:
            state[f"{prefix}{at}.0.weight"] *= _average_excitation(published, prefix, at)[None, :, None, None]
    for key in [key for key in state if key.endswith("running_var")]:
        state[key] += _EPS_THERE - _EPS_HERE
    return state


def _stem(published: Tensors) -> dict[str, torch.Tensor]:
    """Return the stem's tensors: three taps on our frames, and the map of levels in its batch norm."""
    w0, w1, w2 = published["features.0.0.weight"].unbind(dim=3)
    taps = torch.stack([0.75 * w0 + 0.25 * w1, 0.25 * w0 + 0.75 * (w1 + w2), 0.25 * w2], dim=3)
    state = {f"features.0.1.{name}": published[f"features.0.1.{name}"].clone() for name in _NORM}
    _, offset_db, filled = design_mel_map()
    nepers = math.log(10) / 10
    slope = nepers / 5
    level = ((float(np.mean(offset_db[filled])) + PEAK_DB - TOP_DB) * nepers + 4.5) / 5
    state["features.0.0.weight"] = taps * slope
    state["features.0.1.running_mean"] -= level * taps.sum(dim=(1, 2, 3))
    return state


def _average_excitation(published: Tensors, prefix: str, at: int) -> torch.Tensor:
    """Return the factor of each channel, float32 [n_expanded], for the mean that its batch norm gives it."""
    gamma, beta = (published[f"{prefix}{at - 1}.1.{name}"] for name in ("weight", "bias"))
    ratio = beta / gamma.abs().clamp(min=1e-6)
    density = torch.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    mean = beta * 0.5 * (1 + torch.erf(ratio / math.sqrt(2))) + gamma.abs() * density
    fc = {name: published[f"{prefix}{at}.conc_se_layers.0.{name}"] for name in _EXCITE}
    squeezed = torch.relu(fc["fc1.weight"] @ mean + fc["fc1.bias"])
    return torch.sigmoid(fc["fc2.weight"] @ squeezed + fc["fc2.bias"])
