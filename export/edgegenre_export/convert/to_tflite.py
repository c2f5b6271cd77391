"""torch → TFLite, float32 or int8, input [1, n_mels, frames, 1] (NHWC), output logits [1, C]."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre_export.quantize.fixed_ranges import activation_range
from edgegenre_export.silence import converter
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.frontend.decibels import cell_scale_db, cells_to_db

from .tensor_names import short_names

__all__ = ["float_tflite", "int8_tflite"]

_INT16_MAX = 32767


def float_tflite(network: nn.Module, spec: FrontendSpec) -> bytes:
    """Convert a network to float32 TFLite.

    Parameters
    ----------
    network
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    spec
        Front-end; gives the shape of a window.

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


def int8_tflite(
    float_model: bytes, windows: npt.NDArray[np.int8], spec: FrontendSpec, activation_bits: int = 8
) -> bytes:
    """Quantize a float TFLite model to int8 weights (a scale a channel) and int8 or int16 activations.

    An activation's scale spans what :func:`edgegenre_export.quantize.fixed_ranges.activation_range` says of the
    calibration windows. The input's
    is set from the spec, so that window cells are the input tensor byte for byte, or with int16 activations
    ``cell + 128``, their steps above the floor.

    Parameters
    ----------
    float_model
        From :func:`float_tflite`.
    windows
        int8 [N, n_mels, frames], calibration cells.
    spec
        Front-end; ``top_db`` gives the input scale.
    activation_bits
        8 or 16.

    Raises
    ------
    ExportError
        If ai-edge-quantizer cannot quantize it.
    """
    with converter("ai-edge-quantizer could not quantize the model"):
        return short_names(_quantize(float_model, windows, spec.top_db, activation_bits))


def _quantize(float_model: bytes, windows: npt.NDArray[np.int8], top_db: int, activation_bits: int) -> bytes:
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager

    chosen = recipe.static_wi8_ai8() if activation_bits == 8 else recipe.static_wi8_ai16()
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(chosen)
    calibration = calibrator.Calibrator(float_model, num_threads=1, qsv_update_func=_collect)
    name, tensor = _input_names(float_model)
    scale = cell_scale_db(top_db)
    samples = [{name: cells_to_db(cells, top_db)[None, :, :, None]} for cells in windows]
    calibration.calibrate({"serving_default": samples}, manager)
    seen: dict[str, Any] = calibration.get_model_qsvs()
    logits = seen[_output_name(float_model)]
    is_ample = activation_bits == 16  # there are steps enough for outliers
    found = {key: _range(value, is_ample or _same(value, logits)) for key, value in seen.items()}
    low, high = (0.0, float(top_db)) if activation_bits == 8 else (-_INT16_MAX * scale, _INT16_MAX * scale)
    found[tensor] = {bound: np.full_like(found[tensor][bound], value) for bound, value in (("min", low), ("max", high))}
    return bytes(quantizer.Quantizer(float_model, chosen).quantize(found).quantized_model)


def _collect(seen: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Keep each window's extremes of a tensor, where the quantizer would have kept a running figure."""
    lows, highs = seen.get("lows", []), seen.get("highs", [])
    lows.append(new["min"])
    highs.append(new["max"])
    return {**new, "lows": lows, "highs": highs}


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two tensors had the same extremes in every window: the logits, and what is reshaped to them."""
    return all(np.array_equal(np.ravel(a.get(key, [])), np.ravel(b.get(key, []))) for key in ("lows", "highs"))


def _range(seen: dict[str, Any], is_whole: bool) -> dict[str, Any]:
    if "lows" not in seen:
        return seen
    low, high = activation_range(seen["lows"], seen["highs"], is_whole=is_whole)
    return {"min": np.full_like(seen["min"], low), "max": np.full_like(seen["max"], high)}


def _output_name(float_model: bytes) -> str:
    from ai_edge_litert.interpreter import Interpreter

    name: str = Interpreter(model_content=float_model).get_output_details()[0]["name"]
    return name


def _input_names(float_model: bytes) -> tuple[str, str]:
    """Return the names of the one input: in the signature, and of its tensor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=float_model)
    (name,) = interpreter.get_signature_list()["serving_default"]["inputs"]
    return name, interpreter.get_input_details()[0]["name"]
