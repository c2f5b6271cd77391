"""Which implementation runs the front-end: C where its library is there, else the NumPy reference: the same bits.

``EDGEGENRE_FRONTEND=numpy`` or ``=c`` forces one.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError

from . import native
from . import numpy_reference as mel
from .tables import Tables
from .types import LogMel

__all__ = ["MelStream", "active_implementation", "log_mel"]

_VARIABLE = "EDGEGENRE_FRONTEND"


def active_implementation() -> str:
    """Return ``"c"`` or ``"numpy"``.

    Raises
    ------
    UsageError
        If the environment asks for an implementation that is unknown or not there.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if wanted not in ("", "c", "numpy"):
        raise UsageError(f"{_VARIABLE} is {wanted!r}; allowed are c and numpy, or nothing to choose by itself")
    if wanted == "numpy":
        return "numpy"
    if native.load() is not None:
        return "c"
    if wanted == "c":
        raise UsageError(
            f"{_VARIABLE}=c, but {native.LIBRARY} is missing or not for this machine: install a C compiler and run  "
            "pip install --force-reinstall --no-deps edgegenre"
        )
    return "numpy"


class MelStream:
    """Log-mel frames of PCM that arrives in chunks of any size, by the active implementation.

    See :class:`.numpy_reference.MelStream`.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        is_native = active_implementation() == "c"
        self._stream = native.NativeMelStream(tables) if is_native else mel.MelStream(tables)

    @property
    def path(self) -> str:
        """The code that runs the frames: ``numpy``, or C's ``avx2``, ``neon`` or ``portable``."""
        return getattr(self._stream, "path", "numpy")

    def reset(self) -> None:
        """Forget all PCM: the next frame starts with the next sample."""
        self._stream.reset()

    def push(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take int16 [n] and return the frames that became complete, int16 [n_mels, n_new] (``n_new`` may be 0)."""
        return self._stream.push(pcm)


def log_mel(pcm: npt.NDArray[np.int16], tables: Tables) -> LogMel:
    """Return the log-mel frames of a whole clip, by the active implementation; see :func:`.numpy_reference.log_mel`."""
    return native.log_mel(pcm, tables) if active_implementation() == "c" else mel.log_mel(pcm, tables)
