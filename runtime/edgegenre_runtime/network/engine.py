"""The C engine (runtime/c/src/net) through ctypes: runs ``net.eg``, with the bits of :mod:`.reference`.

It is in the same library as the front-end. ctypes lets go of the interpreter's lock during a call, so that threads run
in parallel, each with an engine of its own.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend.native import LIBRARY, open_library

from .blob_header import read_header

__all__ = ["Engine", "load"]

_ALIGN = 64
_Size, _Pointer = ctypes.c_size_t, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "state_bytes": (_Size, []),
    "init": (ctypes.c_int, [_Pointer, _Pointer, _Size, _Pointer, _Size]),
    "run": (ctypes.c_int, [_Pointer, _Pointer, _Size, _Pointer, _Size]),
    "embedding": (ctypes.c_int, [_Pointer, _Pointer, _Pointer]),
    "strerror": (ctypes.c_char_p, [ctypes.c_int]),
    "path": (ctypes.c_char_p, [_Pointer]),
}


def load() -> ctypes.CDLL | None:
    """Return the library with the engine's functions declared, or None where there is none for this machine."""
    return _open(LIBRARY)


@functools.cache
def _open(path: Path) -> ctypes.CDLL | None:
    return open_library(path, "edgegenre_net_", _SIGNATURES)


def _aligned(content: bytes | int) -> npt.NDArray[np.uint8]:
    """Return a copy of ``content``, or that many zeros, that begins at a multiple of 64 bytes."""
    n_bytes = content if isinstance(content, int) else len(content)
    room = np.zeros(n_bytes + _ALIGN, dtype=np.uint8)
    skip = -room.ctypes.data % _ALIGN
    if not isinstance(content, int):
        room[skip : skip + n_bytes] = np.frombuffer(content, dtype=np.uint8)
    return room[skip : skip + n_bytes]


class Engine:
    """A compiled network, ready to run; see :class:`.backends.Backend`.

    Parameters
    ----------
    blob
        The bytes of ``net.eg``.

    Raises
    ------
    BundleError
        If the library is missing, or the blob is damaged or of another version.
    """

    def __init__(self, blob: bytes) -> None:
        header, library = read_header(blob), load()
        if library is None:
            raise BundleError(f"the C engine {LIBRARY} is missing or not for this machine: reinstall with a C compiler")
        self._lib = library
        self._blob, self._arena = _aligned(blob), _aligned(header.arena_bytes)
        self._state = _aligned(library.edgegenre_net_state_bytes())
        pointers = (self._blob.ctypes.data, len(self._blob), self._arena.ctypes.data, len(self._arena))
        self._check(library.edgegenre_net_init(self._state.ctypes.data, *pointers))
        self.input_shape, self.output_shape = header.input_shape[:2], header.output_shape
        self.input_quantization, self.output_quantization = header.input_quantization, header.output_quantization
        self.embedding_dims, self.embedding_quantization = header.embedding_dims, header.embedding_quantization
        path: bytes = library.edgegenre_net_path(self._state.ctypes.data)
        self.name = f"edgegenre engine, {path.decode()}"
        self._n_cells = int(np.prod(header.input_shape))
        self._logits = np.empty(self.output_shape[1], dtype=np.int8)
        self._pointers = (self._state.ctypes.data, self._logits.ctypes.data, self._logits.size)
        self._run = library.edgegenre_net_run

    def _check(self, error: int) -> None:
        if error:
            raise BundleError(f"the C engine refused: {self._lib.edgegenre_net_strerror(error).decode()}")

    def run(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Return logits int8 [n_classes] for cells int8 [n_mels, frames]."""
        if cells.dtype != np.int8 or not cells.flags.c_contiguous:
            cells = np.ascontiguousarray(cells, dtype=np.int8)
        self._check(self._run(self._pointers[0], cells.ctypes.data, cells.size, *self._pointers[1:]))
        logits: npt.NDArray[np.int8] = self._logits.copy()
        return logits

    def run_both(self, cells: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """Return logits int8 [n_classes] and the embedding int8 [D], which the network must have."""
        logits = self.run(cells)
        values, n_values = ctypes.POINTER(ctypes.c_int8)(), ctypes.c_size_t()
        found = self._lib.edgegenre_net_embedding(
            self._state.ctypes.data, ctypes.addressof(values), ctypes.addressof(n_values)
        )
        self._check(found)
        embedding: npt.NDArray[np.int8] = np.ctypeslib.as_array(values, (n_values.value,)).copy()
        return logits, embedding
