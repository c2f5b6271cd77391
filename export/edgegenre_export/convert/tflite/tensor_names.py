"""Short names for a TFLite model's tensors: the converter's spell out a layer's whole path, a third of a small file."""

from __future__ import annotations

import re

from edgegenre_export.model_files import pack_tflite, unpack_tflite

__all__ = ["short_names"]

_LONGEST = 24


def short_names(model: bytes) -> bytes:
    """Return a TFLite model whose inner tensors are named by their layer and number; nothing else changes.

    Inputs and outputs keep their names, which signatures and users know.
    """
    tree = unpack_tflite(model)
    for graph in tree.subgraphs:
        public = {*map(int, graph.inputs), *map(int, graph.outputs)}
        for index, tensor in enumerate(graph.tensors):
            if index not in public:
                tensor.name = f"{_layer(tensor.name.decode())}:{index}".encode()
    return pack_tflite(tree)


def _layer(name: str) -> str:
    """Return the last word of the first path: ``…/torch.nn.modules.conv.Conv2d_0;1`` gives ``Conv2d_0``."""
    last = name.split(";")[0].rstrip("/").split("/")[-1].split(".")[-1]
    return re.sub(r"\W", "", last)[-_LONGEST:]
