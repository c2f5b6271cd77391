"""What the engine's reference answers for the int8 network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.compiler import read_network
from edgegenre_runtime.network.reference import run_reference_outputs

__all__ = ["engine_answers"]


def engine_answers(int8_model: bytes, cells: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
    """Return the NumPy reference's logits, int8 [N, C], for cells int8 [N, n_mels, frames], and embedding if any."""
    graph = read_network(int8_model)
    return tuple(map(np.stack, zip(*(run_reference_outputs(graph, window) for window in cells), strict=True)))
