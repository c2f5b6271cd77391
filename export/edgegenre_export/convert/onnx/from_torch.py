"""torch → float32 ONNX."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import torch
from torch import nn

from edgegenre_export.model_files import pack_onnx
from edgegenre_export.silence import converter
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import FrontendSpec

__all__ = ["INPUT", "OUTPUT", "float_onnx", "frontend_onnx"]

INPUT, OUTPUT = "window", "logits"
"""Names of a network's input [1, 1, n_mels, frames] and output [1, C]."""

_OPSET = 20


def float_onnx(network: nn.Module, spec: FrontendSpec, metadata: Mapping[str, str]) -> bytes:
    """Convert a network to float32 ONNX.

    Parameters
    ----------
    network
        In eval mode; maps float32 [B, 1, n_mels, frames] in dB above the floor to logits [B, C].
    spec
        Front-end; determines the shape of a window.
    metadata
        Keys and values for ``metadata_props``.

    Raises
    ------
    ExportError
        If torch cannot convert it.
    """
    example = torch.zeros(1, 1, spec.n_mels, spec.frames_per_window)
    return _convert(network, example, (INPUT, OUTPUT), metadata)


def frontend_onnx(front: nn.Module, spec: FrontendSpec) -> bytes:
    """Convert a float front-end to ONNX, ``waveform`` float32 [1, window_samples] to ``db_above_floor``.

    Raises
    ------
    ExportError
        If torch cannot convert it.
    """
    metadata = {"sample_rate_hz": str(spec.sample_rate_hz)}
    return _convert(front.eval(), torch.zeros(1, spec.window_samples), ("waveform", "db_above_floor"), metadata)


def _convert(module: nn.Module, example: torch.Tensor, names: tuple[str, str], metadata: Mapping[str, str]) -> bytes:
    with converter("torch could not convert the network to ONNX"):
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[names[0]],
            output_names=[names[1]],
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise ExportError("torch gave no ONNX program for the network")
        return pack_onnx(onnx.load_from_string(program.model_proto.SerializeToString()), metadata)
