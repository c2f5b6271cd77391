"""What a .tflite says of itself to MediaPipe Tasks: sample rate, channels, labels. Writer above, reader below.

The metadata is a flatbuffer of its own (schema ``metadata_schema.fbs`` of MediaPipe, file identifier ``M001``), held
in the model's buffer called ``TFLITE_METADATA``; the files that it names are a zip behind the model.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.compiler.flatbuffer import Table, root_table

__all__ = ["METADATA_NAME", "AudioMetadata", "append_labels", "audio_metadata", "read_metadata"]

METADATA_NAME = "TFLITE_METADATA"

_IDENTIFIER = b"M001"
_LABELS = "labels.txt"
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6  # fields of schema.fbs
# Slots of the fields in metadata_schema.fbs, in the order in which a table declares them.
_MODEL_NAME, _MODEL_DESCRIPTION, _MODEL_SUBGRAPHS, _MODEL_MIN_PARSER = 0, 1, 3, 7
_GRAPH_INPUTS, _GRAPH_OUTPUTS = 2, 3
_TENSOR_NAME, _TENSOR_DESCRIPTION, _TENSOR_CONTENT, _TENSOR_FILES = 0, 1, 3, 6
_CONTENT_KIND, _CONTENT = 0, 1
_AUDIO_RATE, _AUDIO_CHANNELS = 0, 1
_FILE_NAME, _FILE_KIND = 0, 2
_AUDIO_PROPERTIES, _FEATURE_PROPERTIES, _TENSOR_AXIS_LABELS = 4, 1, 2
_N_SLOTS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class AudioMetadata:
    """What a model says of itself.

    Attributes
    ----------
    name, description
        For people.
    sample_rate_hz, channels
        Of the PCM that its input takes.
    labels
        Class names in the order of the output, from the zip behind the model.
    """

    name: str
    description: str
    sample_rate_hz: int
    channels: int
    labels: tuple[str, ...]


def audio_metadata(sample_rate_hz: int) -> bytes:
    """Return the metadata of a model of mono PCM at a rate in Hz, whose output has the labels of ``labels.txt``."""
    import flatbuffers  # here: a device reads metadata, and has no flatbuffers

    b = flatbuffers.Builder(512)
    audio = _table(b, {_AUDIO_RATE: ("Uint32", sample_rate_hz), _AUDIO_CHANNELS: ("Uint32", 1)})
    waveform = _tensor(b, "waveform", "mono PCM, -1 to 1", _AUDIO_PROPERTIES, audio, {})
    file = _table(b, {_FILE_NAME: _text(b, _LABELS), _FILE_KIND: ("Int8", _TENSOR_AXIS_LABELS)})
    files = {_TENSOR_FILES: _list(b, file)}
    probabilities = _tensor(b, "probabilities", "of each genre", _FEATURE_PROPERTIES, _table(b, {}), files)
    graph = _table(b, {_GRAPH_INPUTS: _list(b, waveform), _GRAPH_OUTPUTS: _list(b, probabilities)})
    model = {
        _MODEL_NAME: _text(b, "edgegenre"),
        _MODEL_DESCRIPTION: _text(b, "music genre of a window of audio"),
        _MODEL_SUBGRAPHS: _list(b, graph),
        _MODEL_MIN_PARSER: _text(b, "1.3.0"),
    }
    b.Finish(_table(b, model), file_identifier=_IDENTIFIER)
    return bytes(b.Output())


def append_labels(model: bytes, labels: tuple[str, ...]) -> bytes:
    """Return a model with ``labels.txt`` as a zip behind it (stored, with a fixed date)."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_LABELS), "".join(f"{label}\n" for label in labels))
    return file.getvalue()


def _table(b: Any, fields: Mapping[int, tuple[str, int]]) -> int:
    b.StartObject(_N_SLOTS)
    for slot, (kind, value) in fields.items():
        if kind == "offset":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
    return int(b.EndObject())


def _text(b: Any, text: str) -> tuple[str, int]:
    return "offset", int(b.CreateString(text))


def _list(b: Any, table: int) -> tuple[str, int]:
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(table)
    return "offset", int(b.EndVector())


def _tensor(b: Any, name: str, description: str, kind: int, content: int, more: Mapping[int, tuple[str, int]]) -> int:
    properties = _table(b, {_CONTENT_KIND: ("Uint8", kind), _CONTENT: ("offset", content)})
    fields = {
        _TENSOR_NAME: _text(b, name),
        _TENSOR_DESCRIPTION: _text(b, description),
        _TENSOR_CONTENT: ("offset", properties),
    }
    return _table(b, {**fields, **more})


def read_metadata(model: bytes) -> AudioMetadata | None:
    """Return the audio metadata of a .tflite, None if it has none.

    Raises
    ------
    ExportError
        If the metadata cannot be read.
    """
    try:
        content = _metadata_buffer(model)
        return None if content is None else _parse(content, _labels(model))
    except Exception as error:
        raise ExportError("the metadata of the .tflite cannot be read: the file is damaged") from error


def _metadata_buffer(model: bytes) -> bytes | None:
    root = root_table(model, b"TFL3")
    buffers = root.tables(_MODEL_BUFFERS, lambda buffer: buffer.array(0, "u1"))
    for name, index in root.tables(_MODEL_METADATA, lambda entry: (entry.text(0), entry.scalar(1, "I"))):
        content = buffers[index] if name == METADATA_NAME else None
        if content is not None:
            return content.tobytes()
    return None


def _labels(model: bytes) -> tuple[str, ...]:
    if not zipfile.is_zipfile(io.BytesIO(model)):
        return ()
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        return tuple(archive.read(_LABELS).decode().splitlines()) if _LABELS in archive.namelist() else ()


def _parse(content: bytes, labels: tuple[str, ...]) -> AudioMetadata | None:
    """Return what the metadata says, None if its input is not audio."""
    root = root_table(content, _IDENTIFIER)
    graph = root.tables(_MODEL_SUBGRAPHS, lambda table: table)[0]
    tensor = graph.tables(_GRAPH_INPUTS, lambda table: table)[0]
    properties = _field(tensor, _TENSOR_CONTENT)
    if properties.scalar(_CONTENT_KIND, "B") != _AUDIO_PROPERTIES:
        return None
    audio = _field(properties, _CONTENT)
    return AudioMetadata(
        name=root.text(_MODEL_NAME),
        description=root.text(_MODEL_DESCRIPTION),
        sample_rate_hz=audio.scalar(_AUDIO_RATE, "I"),
        channels=audio.scalar(_AUDIO_CHANNELS, "I"),
        labels=labels,
    )


def _field(table: Table, field: int) -> Table:
    found = table.table(field)
    if found is None:
        raise ValueError(f"field {field} is missing")
    return found
