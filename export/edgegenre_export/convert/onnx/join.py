"""Joining two ONNX models into one: a float front-end, the int8 network as it is, a softmax or sigmoids.

Nothing of the network is converted again; see :mod:`.join_tflite`.
"""

from __future__ import annotations

import onnx

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.task import TaskKind

__all__ = ["join_onnx"]


def join_onnx(front: bytes, body: bytes, kind: TaskKind = "single") -> bytes:
    """Join a float front-end and an int8 (QDQ) model; the result has the metadata of both.

    Parameters
    ----------
    front
        float32 PCM to float32 dB, of the shape of the body's input.
    body
        int8 in, int8 logits out.
    kind
        The network's task: ``multi`` ends in sigmoids, the others in a softmax.

    Raises
    ------
    ExportError
        If the result is not a valid model.
    """
    head, tail = onnx.load_from_string(front), onnx.load_from_string(body)
    head = onnx.compose.add_prefix(head, "front_end/", rename_inputs=False, rename_outputs=False)
    (window,), logits = tail.graph.input, tail.graph.output[0]
    first = next(node for node in tail.graph.node if window.name in node.input)
    last = next(node for node in tail.graph.node if logits.name in node.output)
    db = head.graph.output[0].name
    nodes = [
        *head.graph.node,
        onnx.helper.make_node("QuantizeLinear", [db, *first.input[1:]], [window.name], name="quantize"),
        *tail.graph.node,
        onnx.helper.make_node("DequantizeLinear", [logits.name, *last.input[1:]], ["logits_float"], name="dequantize"),
        _last_node(kind),
    ]
    shape = [size.dim_value for size in logits.type.tensor_type.shape.dim]
    graph = onnx.helper.make_graph(
        nodes,
        "waveform_to_genre",
        list(head.graph.input),
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, shape)],
        [*head.graph.initializer, *tail.graph.initializer],
    )
    joined = onnx.helper.make_model(graph, opset_imports=list(tail.opset_import), ir_version=tail.ir_version)
    properties = {item.key: item.value for item in (*tail.metadata_props, *head.metadata_props)}
    onnx.helper.set_model_props(joined, properties)
    try:
        onnx.checker.check_model(joined, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"front-end and network do not fit together: {str(error).splitlines()[0]}") from error
    return bytes(joined.SerializeToString(deterministic=True))


def _last_node(kind: TaskKind) -> onnx.NodeProto:
    if kind == "multi":
        return onnx.helper.make_node("Sigmoid", ["logits_float"], ["probabilities"], name="sigmoid")
    return onnx.helper.make_node("Softmax", ["logits_float"], ["probabilities"], name="softmax", axis=-1)
