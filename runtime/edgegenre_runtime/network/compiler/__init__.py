"""The compiler: an int8 ``.tflite`` becomes ``net.eg``, the program that the C engine runs. NumPy alone.

flatbuffer → graph (records) → lower (steps) → fuse → plan (rows, barriers, arena) → blob.
"""

from __future__ import annotations

from ...errors import ExportError
from ..blob_header import BlobHeader, read_header
from .blob import program_blob
from .fuse import fuse
from .graph import Graph, read_graph
from .lower import lower
from .plan import plan

__all__ = ["BlobHeader", "compile_network", "read_header", "read_network"]


def read_network(model: bytes) -> Graph:
    """Return the one subgraph of a ``.tflite``.

    Raises
    ------
    ExportError
        If the file is damaged or holds several.
    """
    try:
        graphs = read_graph(model)
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        raise ExportError(f"this is not a .tflite model: {error}") from error
    if len(graphs) != 1:
        raise ExportError(f"a .tflite of {len(graphs)} subgraphs; the engine takes one")
    return graphs[0]


def compile_network(model: bytes, is_interleaved: bool = True) -> bytes:
    """Compile an int8 ``.tflite`` to ``net.eg``.

    Parameters
    ----------
    model
        The file's bytes.
    is_interleaved
        See :func:`.blob.program_blob`.

    Returns
    -------
    bytes
        The block that ``edgegenre_net_init`` takes.

    Raises
    ------
    ExportError
        If the file is damaged, or uses an operator, shape or type outside of what the engine takes.
    """
    graph = read_network(model)
    try:
        return program_blob(plan(fuse(lower(graph))), model, is_interleaved)
    except (ValueError, IndexError, KeyError, RecursionError, ZeroDivisionError) as error:
        raise ExportError(f"this .tflite contradicts itself and cannot be compiled: {error}") from error
