"""``net.eg``: the int8 network compiled for the project's own engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.compiler import compile_network, read_network
from edgegenre_runtime.network.golden import golden_key
from edgegenre_runtime.network.reference import run_reference

__all__ = ["ENGINE_FILE", "engine_files"]

ENGINE_FILE = "net.eg"
_MODEL = "model_int8.tflite"


def engine_files(
    models: Mapping[str, bytes], golden: dict[str, npt.NDArray[np.generic]], progress: Callable[[str], None]
) -> dict[str, bytes]:
    """Return ``net.eg`` of the int8 model, and add the NumPy reference's logits on the golden cells to ``golden``.

    Nothing is returned, and the bundle runs on LiteRT, where there is no int8 model, the engine does not take it, or
    LiteRT answers otherwise on the golden windows.

    Parameters
    ----------
    models
        Artifact by file name.
    golden
        Golden vectors with ``cells`` and LiteRT's logits.
    progress
        Called with the reason if there is no ``net.eg``.
    """
    if _MODEL not in models:
        return {}
    try:
        blob, graph = compile_network(models[_MODEL]), read_network(models[_MODEL])
    except ExportError as error:
        progress(f"no {ENGINE_FILE}: {error}")
        return {}
    logits = np.stack([run_reference(graph, window) for window in np.asarray(golden["cells"], np.int8)])
    if not np.array_equal(logits, golden[golden_key(_MODEL)]):
        progress(f"no {ENGINE_FILE}: LiteRT answers the golden windows otherwise here (without XNNPACK?)")
        return {}
    golden[golden_key(ENGINE_FILE)] = logits
    return {ENGINE_FILE: blob}
