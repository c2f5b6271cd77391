"""What the compiler makes of a network: buffers in the arena and the steps that fill them, row by row.

A buffer is an image, channels last. Its channels are padded with constants to a multiple of eight (``depth``), its
rows with ``left`` and ``right`` cells of the zero point, so that a convolution reads across the edge. Not every row
needs to be there at once: of ``height`` rows the newest ``rows`` are kept, row ``r`` at place ``r % rows``.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CALLER", "LANES", "Buffer", "Kind", "Program", "Step", "padded_depth"]

LANES = 8
"""Channels that a kernel makes at a time."""

CALLER = -1
"""The network's input, in the caller's memory: not a buffer."""


class Kind(enum.IntEnum):
    """What a step does; the numbers stand in ``net.eg``."""

    COPY = 0
    CONV = 1
    DEPTHWISE = 2
    ADD = 3
    MAX = 4
    AVERAGE = 5
    MEAN = 6
    CONCATENATE = 7
    TABLE = 8


def padded_depth(n_channels: int) -> int:
    """Return the channels of a buffer that a kernel fills."""
    return -(-n_channels // LANES) * LANES


@dataclasses.dataclass(slots=True)
class Buffer:
    """One image; ``rows``, ``offset`` and ``storage`` are the planner's.

    Attributes
    ----------
    height, width, channels, depth
        Cells; ``depth`` are the channels in memory.
    scale, zero_point
        Quantization of every cell.
    left, right
        Cells of padding beside each row.
    has_zero_row
        Whether a row of nothing but the zero point is kept behind the rows, for what lies above and below.
    rows
        Rows that are kept.
    offset
        Bytes from the start of the arena.
    """

    height: int
    width: int
    channels: int
    depth: int
    scale: np.float32
    zero_point: int
    left: int = 0
    right: int = 0
    has_zero_row: bool = False
    rows: int = 0
    offset: int = 0

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next."""
        return (self.left + self.width + self.right) * self.depth

    @property
    def addresses(self) -> npt.NDArray[np.int64]:
        """Where each cell stands in a buffer that is whole and has no padding, int64 [height, width, channels]."""
        cells = np.arange(self.height * self.width * self.depth, dtype=np.int64)
        return cells.reshape(self.height, self.width, self.depth)[:, :, : self.channels]


@dataclasses.dataclass(slots=True)
class Step:
    """One step: it makes the rows of ``output`` from those of ``inputs``.

    Attributes
    ----------
    kind, inputs, output
        Buffers by index; an input may be :data:`CALLER`.
    kernel, stride, padding
        Rows and columns; ``padding`` are the rows above and the columns to the left.
    weights, bias, scales
        CONV: int8 [out, rows, columns, in]; DEPTHWISE: int8 [rows, columns, depth]; TABLE: int8 [256]; COPY: None, or
        what a channel's steps become, int8 [channels, 256], or [1, 256] for all alike. Bias int32 [depth], the input's
        zero point folded in; scales float32 [depth], of MEAN scale and bias.
    low, high
        Steps that the output is clipped to.
    numbers
        ADD: factors, bias, shift. COPY: stride in cells of rows, columns, channels, the first cell, and how many times
        more each channel is copied. CONCATENATE: the axis (rows, columns, channels).
    pool
        CONV: of how many neighboring columns the largest is stored.
    is_barrier
        Whether the whole output is made before anything behind it.
    shares
        The input whose memory the output takes over, or None.
    """

    kind: Kind
    inputs: tuple[int, ...]
    output: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    weights: npt.NDArray[np.int8] | None = None
    bias: npt.NDArray[np.int32] | None = None
    scales: npt.NDArray[np.float32] | None = None
    low: int = -128
    high: int = 127
    numbers: tuple[int, ...] = ()
    pool: int = 1
    is_barrier: bool = False
    shares: int | None = None


@dataclasses.dataclass(slots=True)
class Program:
    """A compiled network.

    Attributes
    ----------
    buffers, steps
        In the order in which they are first made.
    input_shape, input_scale, input_zero_point
        Of the network's input: what stands in the caller's memory.
    output
        Buffer of one cell whose channels are the logits.
    embedding
        Buffer of one cell whose channels are the network's second output; None without one.
    arena_bytes
        Memory for all buffers, the planner's.
    """

    buffers: list[Buffer]
    steps: list[Step]
    input_shape: tuple[int, ...]
    input_scale: np.float32
    input_zero_point: int
    output: int
    embedding: int | None = None
    arena_bytes: int = 0

    @property
    def results(self) -> frozenset[int]:
        """The buffers that must be whole when the last step has run."""
        return frozenset({self.output} if self.embedding is None else {self.output, self.embedding})

    def producers(self) -> dict[int, int]:
        """Return the step that makes each buffer."""
        return {step.output: i for i, step in enumerate(self.steps)}


def as_words(values: Any) -> npt.NDArray[np.int32]:
    """Return whole numbers as int32, or raise :class:`ValueError` where they do not fit."""
    array = np.asarray(values, dtype=np.int64)
    if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
        raise ValueError("a number that does not fit 32 bits")
    return array.astype(np.int32)
