"""How near an int8 model's embedding is to the float network's: what its last dense layer takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgegenre.evaluate.scoring import network_input
from edgegenre_export.convert.stage import Artifact
from edgegenre_export.quantize.stage import QuantizedNetwork
from edgegenre_runtime.network.quantization import dequantize

__all__ = ["EmbeddingRecord", "check_embedding"]


@dataclasses.dataclass(frozen=True, slots=True)
class EmbeddingRecord:
    """The embedding of an int8 model.

    Attributes
    ----------
    dims, scale, zero_point
        Its length and quantization.
    mean_cosine, least_cosine
        Between it and the float network's over some calibration windows; None where the float network's is not known.
    n_windows
        How many windows.
    """

    dims: int
    scale: float
    zero_point: int
    mean_cosine: float | None
    least_cosine: float | None
    n_windows: int


def check_embedding(
    artifact: Artifact,
    raw: npt.NDArray[np.int8],
    quantized: QuantizedNetwork,
    cells: npt.NDArray[np.int8],
    top_db: int,
) -> EmbeddingRecord | None:
    """Compare an int8 model's embedding with the float network's; None if the model has none.

    Parameters
    ----------
    artifact
        The model file.
    raw
        Its embeddings int8 [N, D] of ``cells``.
    quantized
        Holds the float network whose channels are equalized as the int8 one's.
    cells
        int8 [N, n_mels, frames].
    top_db
        The spec's.
    """
    port = artifact.report.embedding()
    if port is None or port.scale is None or port.zero_point is None:
        return None
    found = dequantize(raw, port.scale, port.zero_point)
    dims = found.shape[1]
    expected = _float_embeddings(quantized, cells, top_db, dims)
    if expected is None:
        return EmbeddingRecord(dims, port.scale, port.zero_point, None, None, 0)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = np.divide((found * expected).sum(axis=1), lengths, out=np.ones_like(lengths), where=lengths > 0)
    mean, least = round(float(cosines.mean()), 4), round(float(cosines.min()), 4)
    return EmbeddingRecord(dims, port.scale, port.zero_point, mean, least, len(cells))


def _float_embeddings(
    quantized: QuantizedNetwork, cells: npt.NDArray[np.int8], top_db: int, dims: int
) -> npt.NDArray[np.float32] | None:
    """Return what the layer of the logits takes, float32 [N, D]; None if that is not one vector of that length."""
    if quantized.logit_layer is None:
        return None
    taken: list[torch.Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        taken.append(inputs[0].detach().reshape(len(inputs[0]), -1))

    hook = quantized.equalized.get_submodule(quantized.logit_layer).register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            quantized.equalized(network_input(cells, top_db))
    finally:
        hook.remove()
    found = torch.cat(taken).numpy().astype(np.float32)
    return found if found.shape == (len(cells), dims) else None
