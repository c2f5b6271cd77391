"""A bundle's ``head.tflite`` or ``head.onnx`` along a stream: the state is handed back at every step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .head import Head
from .interpreters import StepModel

__all__ = ["run_head_model"]


def run_head_model(
    name: str, content: bytes, head: Head, embeddings: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the logits float32 [T, C] after each embedding of a stream, float32 [T, D].

    Parameters
    ----------
    name, content
        The model file.
    head
        The same head in NumPy, which knows the state before any window.
    embeddings
        The stream.
    """
    model = StepModel(name, content)
    state = {part: array[None] for part, array in head.initial_state().items()}
    logits = []
    for embedding in embeddings:
        outputs = model.run({"embedding": embedding[None], **state})
        logits.append(outputs["logits"][0])
        state = {part: outputs[f"next_{part}"] for part in state}
    return np.stack(logits)
