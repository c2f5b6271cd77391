"""Joining two models into one: a float front-end, the int8 network as it is, a softmax.

Nothing of the network is converted again: its tensors, scales and operators are moved over, so that the joined
model's body answers as the int8 model does.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.inspect.mediapipe_metadata import METADATA_NAME, append_labels, audio_metadata

__all__ = ["join_onnx", "join_tflite", "pack_tflite"]

_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]  # untyped base class
    """A buffer that keeps the schema's ``force_align: 16``, which flatbuffers' Python packer forgets."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802
        """Write the buffer; returns its offset."""
        if self.data is None or not len(self.data):
            return super().Pack(builder)
        payload = np.asarray(self.data, dtype=np.uint8).tobytes()
        builder.StartVector(1, len(payload), _ALIGNMENT)
        builder.head -= len(payload)
        builder.Bytes[builder.head : builder.head + len(payload)] = payload
        builder.vectorNumElems = len(payload)
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def pack_tflite(model: Any) -> bytes:
    """Return a ``ModelT`` as a .tflite whose constants lie at multiples of 16 bytes."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def join_tflite(front: bytes, body: bytes, sample_rate_hz: int, labels: tuple[str, ...]) -> bytes:
    """Join a float front-end and an int8 model.

    Parameters
    ----------
    front
        float32 PCM to float32 dB, of the shape of the body's input.
    body
        int8 in, int8 logits out.
    sample_rate_hz, labels
        For the metadata.

    Raises
    ------
    ExportError
        If the shapes do not fit.
    """
    model, tail = schema.ModelT.InitFromPackedBuf(front, 0), schema.ModelT.InitFromPackedBuf(body, 0)
    graph, moved = model.subgraphs[0], tail.subgraphs[0]
    n_front = len(graph.tensors)
    waveform, db = int(graph.inputs[0]), int(graph.outputs[0])
    window, logits = int(moved.inputs[0]) + n_front, int(moved.outputs[0]) + n_front
    shapes = list(graph.tensors[db].shape), list(moved.tensors[window - n_front].shape)
    if shapes[0] != shapes[1]:
        raise ExportError(f"the front-end gives a window of {shapes[0]}, the network takes {shapes[1]}")
    body_operators = _move_in(model, tail)
    graph.tensors[waveform].name, graph.tensors[db].name = b"waveform", b"db_above_floor"
    real, probabilities = (_like(graph, logits, name) for name in (b"logits_float", b"probabilities"))
    softmax = _operator(model, schema.BuiltinOperator.SOFTMAX, real, probabilities)
    softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    softmax.builtinOptions = schema.SoftmaxOptionsT(beta=1.0)
    graph.operators += [_operator(model, schema.BuiltinOperator.QUANTIZE, db, window), *body_operators]
    graph.operators += [_operator(model, schema.BuiltinOperator.DEQUANTIZE, logits, real), softmax]
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
    made = schema.TensorT(name=name, shape=graph.tensors[like].shape, type=schema.TensorType.FLOAT32, buffer=0)
    graph.tensors.append(made)
    return len(graph.tensors) - 1


def _operator(model: Any, code: int, given: int, made: int) -> Any:
    """Return an operator of one input and one output; its code is added to the model."""
    model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1))
    return schema.OperatorT(opcodeIndex=len(model.operatorCodes) - 1, inputs=[given], outputs=[made])


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


def join_onnx(front: onnx.ModelProto, body: onnx.ModelProto) -> bytes:
    """Join a float front-end and an int8 (QDQ) model; the int8 model's metadata stays, the front-end's comes to it.

    Raises
    ------
    ExportError
        If the result is not a valid model.
    """
    front = onnx.compose.add_prefix(front, "front_end/", rename_inputs=False, rename_outputs=False)
    (window,), (logits,) = body.graph.input, body.graph.output
    first = next(node for node in body.graph.node if window.name in node.input)
    last = next(node for node in body.graph.node if logits.name in node.output)
    db = front.graph.output[0].name
    nodes = [
        *front.graph.node,
        onnx.helper.make_node("QuantizeLinear", [db, *first.input[1:]], [window.name], name="quantize"),
        *body.graph.node,
        onnx.helper.make_node("DequantizeLinear", [logits.name, *last.input[1:]], ["logits_float"], name="dequantize"),
        onnx.helper.make_node("Softmax", ["logits_float"], ["probabilities"], name="softmax", axis=-1),
    ]
    shape = [size.dim_value for size in logits.type.tensor_type.shape.dim]
    graph = onnx.helper.make_graph(
        nodes,
        "waveform_to_genre",
        list(front.graph.input),
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, shape)],
        [*front.graph.initializer, *body.graph.initializer],
    )
    joined = onnx.helper.make_model(graph, opset_imports=list(body.opset_import), ir_version=body.ir_version)
    properties = {item.key: item.value for item in (*body.metadata_props, *front.metadata_props)}
    onnx.helper.set_model_props(joined, properties)
    try:
        onnx.checker.check_model(joined, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"front-end and network do not fit together: {str(error).splitlines()[0]}") from error
    return bytes(joined.SerializeToString(deterministic=True))
