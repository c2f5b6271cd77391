"""The header of ``net.eg``: what a runtime needs to know of it. :mod:`.compiler.blob` has the format and writes it."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from edgegenre_runtime.errors import BundleError

__all__ = [
    "BLOB_VERSION",
    "BUFFER_WORDS",
    "CRC_FROM",
    "HEADER_WORDS",
    "MAGIC",
    "OLDEST_VERSION",
    "BlobHeader",
    "read_header",
]

MAGIC = b"EGNETBLB"
HEADER_WORDS, BUFFER_WORDS = 32, 10
CRC_FROM = 20
BLOB_VERSION = 4
OLDEST_VERSION = 3
"""Of the same format: version 4 has higher kernels, windows of padding alone, maxima that take row after row."""


@dataclasses.dataclass(frozen=True, slots=True)
class BlobHeader:
    """What ``net.eg`` says of itself.

    Attributes
    ----------
    n_bytes, arena_bytes
        Sizes of the block and of the memory that a run takes.
    input_shape, output_shape
        Rows, columns and channels; classes.
    embedding_dims
        Length of the embedding, 0 for none.
    input_quantization, output_quantization, embedding_quantization
        Scale and zero point.
    model_sha256
        Of the ``.tflite`` that it was compiled from, hexadecimal.
    """

    n_bytes: int
    arena_bytes: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_quantization: tuple[float, int]
    output_quantization: tuple[float, int]
    embedding_dims: int
    embedding_quantization: tuple[float, int]
    model_sha256: str


def read_header(blob: bytes) -> BlobHeader:
    """Check a block's magic, version, length and CRC-32, and return its header.

    Raises
    ------
    BundleError
        If it is no ``net.eg`` of this version, or is damaged.
    """
    if blob[:8] != MAGIC:
        raise BundleError("net.eg is not a compiled network")
    words = np.frombuffer(blob[: len(blob) // 4 * 4], "<i4")
    if len(words) < HEADER_WORDS or int(words[3]) != len(blob):
        raise BundleError("net.eg is cut short")
    if not OLDEST_VERSION <= int(words[2]) <= BLOB_VERSION:
        reads = f"this package reads {OLDEST_VERSION} to {BLOB_VERSION}"
        raise BundleError(f"net.eg is of version {words[2]}, {reads}: export the bundle again")
    if zlib.crc32(blob[CRC_FROM:]) != int(words[4]) % 2**32:
        raise BundleError("net.eg is damaged: its checksum does not match")
    scales, embedding = words.view(np.float32), int(words[18]) - 1
    at = HEADER_WORDS + BUFFER_WORDS * embedding
    if embedding >= int(words[5]) or at + BUFFER_WORDS > len(words):
        raise BundleError("net.eg has no buffer for its embedding")
    return BlobHeader(
        n_bytes=len(blob),
        arena_bytes=int(words[7]),
        input_shape=tuple(int(size) for size in words[8:11]),
        output_shape=(1, int(words[13])),
        input_quantization=(float(scales[11]), int(words[12])),
        output_quantization=(float(scales[14]), int(words[15])),
        embedding_dims=int(words[at + BUFFER_WORDS - 1]) if embedding >= 0 else 0,
        embedding_quantization=(float(scales[19]), int(words[20])),
        model_sha256=words[24:32].astype("<i4").tobytes().hex(),
    )
