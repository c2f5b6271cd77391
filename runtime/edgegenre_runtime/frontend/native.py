"""The C implementation (runtime/c) through ctypes: the same bits as :mod:`.numpy_reference`, some fifty times faster.

The library is compiled by the package's build (``hatch_build.py``) and lies in ``lib``. ctypes lets go of
the interpreter's lock during a call, so that threads run in parallel, each with a stream of its own.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import SpecError

from .c_tables import table_blob
from .tables import Tables
from .types import LogMel

__all__ = ["LIBRARY", "NativeMelStream", "load", "log_mel", "open_library"]

LIBRARY = Path(__file__).parent / "lib" / "edgegenre_mel.so"
"""Where the build puts the shared library."""

_ALIGN = 64
_Size, _Pointer = ctypes.c_size_t, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "arena_bytes": (_Size, [ctypes.c_uint32] * 3),
    "tables_bytes": (_Size, []),
    "tables_from_blob": (ctypes.c_int, [_Pointer, _Pointer, _Size]),
    "init": (ctypes.c_int, [_Pointer, _Pointer, _Size, _Pointer]),
    "reset": (ctypes.c_int, [_Pointer]),
    "frames_after": (ctypes.c_int, [_Pointer, _Size, _Pointer]),
    "push": (ctypes.c_int, [_Pointer, _Pointer, _Size, _Pointer, _Size, _Pointer]),
    "window": (ctypes.c_int, [_Pointer, _Pointer, _Size, _Pointer]),
    "strerror": (ctypes.c_char_p, [ctypes.c_int]),
    "path": (ctypes.c_char_p, [_Pointer]),
}


def load() -> ctypes.CDLL | None:
    """Return the library with its functions declared, or None where there is none for this machine."""
    return _open(LIBRARY)


@functools.cache
def _open(path: Path) -> ctypes.CDLL | None:
    return open_library(path, "edgegenre_mel_", _SIGNATURES)


def open_library(
    path: Path, prefix: str, signatures: Mapping[str, tuple[type | None, list[type]]]
) -> ctypes.CDLL | None:
    """Return the C library with functions declared: each name behind ``prefix``, its result and its arguments.

    None where the library is absent, of another processor, or of another version.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in signatures.items():
            function = getattr(library, prefix + name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return library


def _library() -> ctypes.CDLL:
    library = load()
    if library is None:
        raise SpecError(f"the C front-end {LIBRARY} is missing or not for this machine: reinstall with a C compiler")
    return library


def _check(library: ctypes.CDLL, error: int) -> None:
    if error:
        raise SpecError(f"the C front-end refused: {library.edgegenre_mel_strerror(error).decode()}")


def _aligned(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Return zeros, uint8 [n_bytes], that begin at a multiple of 64 bytes."""
    room = np.zeros(n_bytes + _ALIGN, dtype=np.uint8)
    skip = -room.ctypes.data % _ALIGN
    return room[skip : skip + n_bytes]


@functools.lru_cache(maxsize=8)
def _native_tables(tables: Tables) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the C struct of tables and the blob that it points into, read and checked once."""
    library, content = _library(), table_blob(tables)
    blob = _aligned(len(content))
    blob[:] = np.frombuffer(content, dtype=np.uint8)
    struct = _aligned(library.edgegenre_mel_tables_bytes())
    _check(library, library.edgegenre_mel_tables_from_blob(struct.ctypes.data, blob.ctypes.data, len(blob)))
    return struct, blob


class NativeMelStream:
    """Log-mel frames of PCM that arrives in chunks of any size, like :class:`.numpy_reference.MelStream`, in C.

    Raises
    ------
    SpecError
        If the library is missing or refuses the tables.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._lib = _library()
        self._native = _native_tables(tables)  # held: the state points into it
        spec = tables.spec
        self._arena = _aligned(self._lib.edgegenre_mel_arena_bytes(spec.n_fft, spec.n_mels, spec.frames_per_window))
        state = ctypes.c_void_p()
        struct = self._native[0].ctypes.data
        error = self._lib.edgegenre_mel_init(ctypes.addressof(state), self._arena.ctypes.data, len(self._arena), struct)
        _check(self._lib, error)
        self._state = state.value

    @property
    def path(self) -> str:
        """The code that runs the frames: ``avx2``, ``neon`` or ``portable``."""
        name: bytes = self._lib.edgegenre_mel_path(self._state)
        return name.decode()

    def reset(self) -> None:
        """Forget all PCM: the next frame starts with the next sample."""
        _check(self._lib, self._lib.edgegenre_mel_reset(self._state))

    def push(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take int16 [n] and return the frames that became complete, int16 [n_mels, n_new] (``n_new`` may be 0)."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise SpecError(f"PCM must be int16 of one dimension, not {pcm.dtype} of {pcm.ndim}")
        pcm = np.require(pcm, requirements=["C", "A"])
        count = ctypes.c_size_t()
        _check(self._lib, self._lib.edgegenre_mel_frames_after(self._state, len(pcm), ctypes.addressof(count)))
        frames = np.empty((count.value, self.tables.spec.n_mels), dtype=np.int16)
        error = self._lib.edgegenre_mel_push(
            self._state, pcm.ctypes.data, len(pcm), frames.ctypes.data, count.value, None
        )
        _check(self._lib, error)
        return np.ascontiguousarray(frames.T)


def log_mel(pcm: npt.NDArray[np.int16], tables: Tables) -> LogMel:
    """Return the log-mel frames of a whole clip, as :func:`.numpy_reference.log_mel` does."""
    return LogMel(frames_q9=NativeMelStream(tables).push(pcm), spec_hash=tables.spec_hash)
