"""Writing the two model formats: TFLite with aligned constants, ONNX without notes of the machine that made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

__all__ = ["pack_onnx", "pack_tflite", "unpack_tflite"]

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


def unpack_tflite(model: bytes) -> Any:
    """Return a .tflite as a ``ModelT`` whose constants are in it.

    ai-edge-quantizer writes 256 KiB of constants and more behind the flatbuffer, where the schema's own reader leaves
    them.
    """
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in tree.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
    return tree


def pack_tflite(model: Any) -> bytes:
    """Return a ``ModelT`` as a .tflite whose constants lie at multiples of 16 bytes."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def pack_onnx(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """Drop what the converter noted about this machine (stack traces, paths), add metadata, check, serialize."""
    graph = model.graph
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
