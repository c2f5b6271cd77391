"""Joining two TFLite models into one: a float front-end, the int8 network as it is, a softmax or sigmoids.

Nothing of the network is converted again: its tensors, scales and operators are moved over, so that the joined
model's body answers as the int8 model does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgegenre_export.model_files import pack_tflite, unpack_tflite
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.mediapipe_metadata import METADATA_NAME, append_labels, audio_metadata
from edgegenre_runtime.network.task import TaskKind

__all__ = ["join_tflite"]


def join_tflite(
    front: bytes, body: bytes, sample_rate_hz: int, labels: tuple[str, ...], kind: TaskKind = "single"
) -> bytes:
    """Join a float front-end and an int8 model.

    Parameters
    ----------
    front
        float32 PCM to float32 dB, of the shape of the body's input.
    body
        int8 in, int8 logits out.
    sample_rate_hz, labels
        For the metadata.
    kind
        The network's task: ``multi`` ends in sigmoids, the others in a softmax.

    Raises
    ------
    ExportError
        If the shapes do not fit.
    """
    model, tail = unpack_tflite(front), unpack_tflite(body)
    graph, moved = model.subgraphs[0], tail.subgraphs[0]
    n_front = len(graph.tensors)
    waveform, db = int(graph.inputs[0]), int(graph.outputs[0])
    window, logits = int(moved.inputs[0]) + n_front, int(moved.outputs[0]) + n_front
    shapes = list(graph.tensors[db].shape), list(moved.tensors[window - n_front].shape)
    if shapes[0] != shapes[1]:
        raise ExportError(f"the front-end produces a window of {shapes[0]}, the network takes {shapes[1]}")
    body_operators = _move_in(model, tail)
    graph.tensors[waveform].name, graph.tensors[db].name = b"waveform", b"db_above_floor"
    real, probabilities = (_like(graph, logits, name) for name in (b"logits_float", b"probabilities"))
    is_softmax = kind != "multi"
    code = schema.BuiltinOperator.SOFTMAX if is_softmax else schema.BuiltinOperator.LOGISTIC
    last = _operator(model, code, real, probabilities)
    if is_softmax:
        last.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        last.builtinOptions = schema.SoftmaxOptionsT(beta=1.0)
    graph.operators += [_operator(model, schema.BuiltinOperator.QUANTIZE, db, window), *body_operators]
    graph.operators += [_operator(model, schema.BuiltinOperator.DEQUANTIZE, logits, real), last]
    graph.outputs = [probabilities]
    _describe(model, waveform, probabilities, audio_metadata(sample_rate_hz))
    return append_labels(pack_tflite(model), labels)


def _move_in(model: Any, tail: Any) -> list[Any]:
    """Move tensors, buffers and operator codes of ``tail`` behind those of ``model``; return its operators."""
    graph, moved = model.subgraphs[0], tail.subgraphs[0]
    n_tensors, n_codes, n_buffers = len(graph.tensors), len(model.operatorCodes), len(model.buffers)
    for tensor in moved.tensors:
        tensor.buffer += n_buffers
    for operator in moved.operators:
        operator.opcodeIndex += n_codes
        operator.inputs = [int(i) + n_tensors if i >= 0 else -1 for i in operator.inputs]
        operator.outputs = [int(i) + n_tensors for i in operator.outputs]
    graph.tensors += moved.tensors
    model.operatorCodes += tail.operatorCodes
    model.buffers += tail.buffers
    return list(moved.operators)


def _like(graph: Any, like: int, name: bytes) -> int:
    """Add a float32 tensor of the shape of another; returns its index."""
    tensor = schema.TensorT(name=name, shape=graph.tensors[like].shape, type=schema.TensorType.FLOAT32, buffer=0)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _operator(model: Any, code: int, source: int, target: int) -> Any:
    """Return an operator of one input and one output; its code is added to the model."""
    model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1))
    return schema.OperatorT(opcodeIndex=len(model.operatorCodes) - 1, inputs=[source], outputs=[target])


def _describe(model: Any, waveform: int, probabilities: int, metadata: bytes) -> None:
    """Name the ends for LiteRT's signatures, and put MediaPipe's metadata in the place of the converter's."""
    model.description = b"edgegenre: waveform to genre"
    model.signatureDefs = [
        schema.SignatureDefT(
            signatureKey=b"serving_default",
            subgraphIndex=0,
            inputs=[schema.TensorMapT(name=b"waveform", tensorIndex=waveform)],
            outputs=[schema.TensorMapT(name=b"probabilities", tensorIndex=probabilities)],
        )
    ]
    model.buffers.append(schema.BufferT(data=np.frombuffer(metadata, dtype=np.uint8)))
    model.metadata = [schema.MetadataT(name=METADATA_NAME.encode(), buffer=len(model.buffers) - 1)]
