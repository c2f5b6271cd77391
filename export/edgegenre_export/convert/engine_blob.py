"""``net.eg``: the int8 network compiled for the project's own engine."""

from __future__ import annotations

import dataclasses

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.compiler import compile_network

__all__ = ["EngineBlob", "engine_blob"]


@dataclasses.dataclass(frozen=True, slots=True)
class EngineBlob:
    """The content of ``net.eg``; None where the engine does not take the network, and why."""

    content: bytes | None
    refusal: str = ""


def engine_blob(int8_model: bytes) -> EngineBlob:
    """Compile ``model_int8.tflite`` for the engine."""
    try:
        return EngineBlob(compile_network(int8_model))
    except ExportError as error:
        return EngineBlob(None, str(error))
