"""``net.eg``: a program as one block of little-endian 32-bit words. C reads it in place.

======  ========================================================================================
word    header (32 words)
======  ========================================================================================
0, 1    ``EGNETBLB``
2       format version: 3, or 4 where it takes more (see :func:`_is_new`)
3       bytes of the whole block
4       CRC-32 of everything behind this word
5, 6    number of buffers, of steps
7       bytes of the arena
8 - 10  input: rows, columns, channels in the caller's memory
11, 12  input: scale (float32), zero point
13 - 15 output: classes, scale, zero point
16      the buffer of the output
17      channels and inputs of a cell of weights: 8 * 256 + 4
18 - 20 embedding: its buffer + 1, 0 for none; scale, zero point
24 - 31 SHA-256 of the .tflite
======  ========================================================================================

Then 10 words a buffer (offset, height, width, depth, rows, left, right, zero row, zero point, channels), 24 words a
step (see :func:`_step_words`) and the constants, each at a multiple of 16 bytes. A convolution's weights stand in cells
of 8 outputs by 4 inputs, ``[out / 8][kernel row][inputs / 4][8][4]``, where the inputs of a kernel row are its columns
times the channels: one dot product an output channel, on every processor. Where neighboring windows of three or four
columns share their inputs (flag 2), the columns of four outputs by four inputs stand together: ``[out / 8][kernel row]
[channels / 16][4][2][column][4][4]``, so that a kernel loads an input once; a table says which of these products add up
in int16.
"""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import numpy.typing as npt

from ..blob_header import BLOB_VERSION, BUFFER_WORDS, CRC_FROM, HEADER_WORDS, MAGIC, OLDEST_VERSION
from .program import CALLER, LANES, Kind, Program, Step, as_words

__all__ = ["program_blob"]

CELL_INPUTS = 4
_STEP_WORDS = 24
_BARRIER, _INTERLEAVED = 1, 2
_CHUNK, _TAPS = 16, (3, 4)
_OLD_KERNEL_ROWS = 16
"""Of a convolution in version 3."""
_LARGEST_SUM = 255
"""Of the sizes of weights whose products with any int8 add up in int16."""


def program_blob(program: Program, model: bytes, is_interleaved: bool = True) -> bytes:
    """Write a planned program.

    Parameters
    ----------
    program
        From :func:`.plan.plan`.
    model
        The ``.tflite`` that it was compiled from, for its SHA-256.
    is_interleaved
        Whether taps are interleaved where that pays; microcontrollers have too few registers for it.
    """
    first = 4 * (HEADER_WORDS + BUFFER_WORDS * len(program.buffers) + _STEP_WORDS * len(program.steps))
    constants = _Constants(first)
    steps = [_step_words(step, constants, is_interleaved and _is_shared(program, step)) for step in program.steps]
    buffers = [
        [b.offset, b.height, b.width, b.depth, b.rows, b.left, b.right, b.has_zero_row, b.zero_point, b.channels]
        for b in program.buffers
    ]
    output = program.buffers[program.output]
    shape = (1, 1, 1, *program.input_shape)[-3:]
    header = np.zeros(HEADER_WORDS, np.int32)
    header[:2] = np.frombuffer(MAGIC, "<i4")
    header[2:8] = _version(program), first + len(constants.content), 0, len(buffers), len(steps), program.arena_bytes
    header[8:13] = *shape, _float_word(program.input_scale), program.input_zero_point
    header[13:18] = (
        output.channels,
        _float_word(output.scale),
        output.zero_point,
        program.output,
        LANES * 256 + CELL_INPUTS,
    )
    if program.embedding is not None:
        vector = program.buffers[program.embedding]
        header[18:21] = program.embedding + 1, _float_word(vector.scale), vector.zero_point
    header[24:32] = np.frombuffer(hashlib.sha256(model).digest(), "<i4")
    tables = [header, *(as_words(row) for row in (*buffers, *steps))]
    content = bytearray(np.concatenate(tables).astype("<i4").tobytes() + constants.content)
    content[16:20] = zlib.crc32(content[CRC_FROM:]).to_bytes(4, "little")
    return bytes(content)


def _version(program: Program) -> int:
    """Return the oldest format whose engines run a program: most need nothing of the newest."""
    return BLOB_VERSION if any(_is_new(program, step) for step in program.steps) else OLDEST_VERSION


def _is_new(program: Program, step: Step) -> bool:
    """Whether a maximum takes row after row, or a convolution is of many rows or has windows of padding alone."""
    if step.inputs[0] == CALLER:
        return False
    image, made = program.buffers[step.inputs[0]], program.buffers[step.output]
    if step.kind is Kind.MAX:
        return image.rows < min(step.kernel[0], image.height)
    if step.kind not in (Kind.CONV, Kind.DEPTHWISE):
        return False
    last = [(made.height - 1) * step.stride[0], (made.width * step.pool - 1) * step.stride[1]]
    is_beside = any(
        edge >= size or at - edge >= length
        for edge, size, at, length in zip(step.padding, step.kernel, last, (image.height, image.width), strict=True)
    )
    return is_beside or step.kernel[0] > _OLD_KERNEL_ROWS


class _Constants:
    """The constants behind the tables, each at a multiple of 16 bytes of the block."""

    def __init__(self, first: int) -> None:
        self._first, self.content = first, bytearray()

    def put(self, values: npt.NDArray[np.generic] | None, dtype: str) -> int:
        """Append an array and return its offset in the block, 0 for none."""
        if values is None:
            return 0
        self.content.extend(bytes(-(self._first + len(self.content)) % 16))
        offset = self._first + len(self.content)
        self.content.extend(np.ascontiguousarray(values, dtype).tobytes())
        return offset


def _step_words(step: Step, constants: _Constants, is_interleaved: bool) -> list[int]:
    """Return kind, inputs, output, flags, kernel, stride, padding, constants, limits and the kind's own numbers."""
    weights, numbers, flags = step.weights, step.numbers, _BARRIER * step.is_barrier
    if weights is not None and step.kind is Kind.CONV:
        numbers = (0, step.pool)
        if is_interleaved:
            flags |= _INTERLEAVED
            numbers = (constants.put(_small_chunks(weights), "<i4"), step.pool)
            weights = _interleaved(weights)
        else:
            weights = _cells(weights)
    elif weights is not None and step.kind is Kind.COPY:
        numbers = (*numbers, weights.shape[1] if len(weights) > 1 else 0)  # from a channel's table to the next
    a, b = (*step.inputs, CALLER)[:2]
    words = [int(step.kind), a, b, step.output, flags, *step.kernel, *step.stride, *step.padding]
    words += [constants.put(weights, "i1"), constants.put(step.bias, "<i4"), constants.put(step.scales, "<f4")]
    words += [step.low, step.high, *numbers]
    return words + [0] * (_STEP_WORDS - len(words))


def _is_shared(program: Program, step: Step) -> bool:
    """Whether neighboring output cells share inputs, so that kernels gain by taking the taps of a chunk together."""
    depth = 0 if step.inputs[0] == CALLER else program.buffers[step.inputs[0]].depth
    return step.kind is Kind.CONV and step.kernel[1] in _TAPS and step.stride[1] == 1 and depth % _CHUNK == 0


def _interleaved(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return weights [out, rows, columns, in] as [out / 8, rows, in / 16, 4, 2, columns, 4, 4]."""
    n_out, rows, columns, n_in = weights.shape
    outputs, inputs = (n_out // LANES, 2, LANES // 2), (n_in // _CHUNK, _CHUNK // CELL_INPUTS, CELL_INPUTS)
    parts = weights.reshape(*outputs, rows, columns, *inputs)
    cells: npt.NDArray[np.int8] = parts.transpose(0, 3, 5, 6, 1, 4, 2, 7)
    return cells


def _small_chunks(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """Return where the products of all taps add up in int16, int32 [out / 8, rows, in / 16].

    Bit ``2 * quarter + half`` stands for a quarter of the inputs and a half of the outputs, 8 bits on for the first two
    outputs of the half alone, 16 bits on for the other two.
    """
    n_out, rows, _, n_in = weights.shape
    sums = np.abs(weights.astype(np.int64)).sum(axis=2)
    largest = sums.reshape(n_out // LANES, 2, 2, LANES // 4, rows, n_in // _CHUNK, 4, _CHUNK // 4).max(axis=(3, 7))
    first, second = (largest <= _LARGEST_SUM).transpose(2, 0, 3, 4, 5, 1)  # [out / 8, rows, in / 16, quarter, half]
    bits = np.stack([first & second, first, second], axis=3).reshape(*first.shape[:3], 24)
    words: npt.NDArray[np.int32] = (bits * (1 << np.arange(24))).sum(axis=-1).astype(np.int32)
    return words


def _cells(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return weights [out, rows, columns, in] as [out / 8, rows, columns * in / 4, 8, 4], zeros where they end."""
    n_out, rows = weights.shape[:2]
    flat = weights.reshape(n_out, rows, -1)
    flat = np.pad(flat, [(0, -n_out % LANES), (0, 0), (0, -flat.shape[2] % CELL_INPUTS)])
    n_cells = flat.shape[2] // CELL_INPUTS
    cells: npt.NDArray[np.int8] = flat.reshape(-1, LANES, rows, n_cells, CELL_INPUTS).transpose(0, 2, 3, 1, 4)
    return cells


def _float_word(value: np.float32) -> int:
    return int(np.float32(value).view(np.int32))
