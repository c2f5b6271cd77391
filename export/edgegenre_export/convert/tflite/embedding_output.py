"""The embedding as a second output of an int8 TFLite model: the vector that the last dense layer takes.

Nothing is computed for it: the tensor is in the model and is named and listed as an output. A network has an embedding
if its logits come from one vector through dense layers alone, several of them side by side included; another (a head
over an image, or logits that are not the last layer's) has none, and its models keep their one output.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgegenre_export.model_files import pack_tflite
from edgegenre_runtime.network.compiler import read_network
from edgegenre_runtime.network.compiler.graph import Graph
from edgegenre_runtime.network.interpreters import EMBEDDING

__all__ = ["with_embedding"]

_DENSE = {"CONV_2D", "FULLY_CONNECTED"}
_MOVERS = {"RESHAPE", "SQUEEZE", "CONCATENATION", "QUANTIZE"}


def with_embedding(model: bytes) -> bytes:
    """Return an int8 .tflite whose second output is its embedding; unchanged if it has none."""
    index = _vector_of(read_network(model))
    if index is None:
        return model
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = tree.subgraphs[0]
    graph.tensors[index].name = EMBEDDING.encode()
    graph.outputs = [*map(int, graph.outputs), index]
    for signature in tree.signatureDefs or ():
        signature.outputs = [*signature.outputs, schema.TensorMapT(name=EMBEDDING.encode(), tensorIndex=index)]
    return pack_tflite(tree)


def _vector_of(graph: Graph) -> int | None:
    """Return the tensor that every dense layer before the logits takes, as [1, D] where it exists in that shape."""
    makers = {operator.outputs[0]: operator for operator in graph.operators}
    taken, pending = set(), [graph.outputs[0]]
    while pending:
        operator = makers.get(pending.pop())
        if operator is None:
            return None
        source = operator.inputs[0]
        if operator.name in _MOVERS:
            pending += [i for i in operator.inputs if i >= 0 and graph.tensors[i].data is None]
        elif operator.name in _DENSE and _is_vector(graph, source):
            while len(graph.tensors[source].shape) != 2 and source in makers and makers[source].name == "RESHAPE":
                before = makers[source].inputs[0]
                if not _is_vector(graph, before):
                    break
                source = before
            taken.add(source)
        else:
            return None
    (index,) = taken if len(taken) == 1 else (None,)
    return None if index in (*graph.inputs, *graph.outputs) else index


def _is_vector(graph: Graph, index: int) -> bool:
    shape = graph.tensors[index].shape
    return graph.tensors[index].dtype == "int8" and int(np.prod(shape)) == max(shape)
