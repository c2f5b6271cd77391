"""Stage 6: the window normalizer, int16 log-mel → int8 network input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import SpecError

from .tables import Tables
from .types import Window

__all__ = ["normalize"]


def normalize(frames_q9: npt.NDArray[np.int16], tables: Tables) -> Window:
    """Turn log-mel frames into the network's input tensor.

    ``power_to_db(S, ref=max, top_db=80) + 80`` over the window in integers: the distance of a cell to the
    window's maximum, times ``norm_gain_q22`` (halves rounded up), counted down from 127 and never below -128.

    Parameters
    ----------
    frames_q9
        int16 [n_mels, frames_per_window] in Q9 (:class:`LogMel`).

    Raises
    ------
    SpecError
        If the shape is another.
    """
    spec = tables.spec
    if frames_q9.shape != (spec.n_mels, spec.frames_per_window):
        raise SpecError(f"a window is [{spec.n_mels}, {spec.frames_per_window}] log-mel cells, not {frames_q9.shape}")
    largest = int(frames_q9.max())
    steps = np.subtract(np.int32(largest), frames_q9, dtype=np.int32)  # in place from here on
    np.minimum(steps, tables.norm_limit_q9, out=steps)
    steps *= tables.norm_gain_q22
    steps += 1 << 21
    steps >>= 22
    cells = np.maximum(np.subtract(127, steps, out=steps), -128, out=steps).astype(np.int8)
    if largest == -32768:  # digital silence: no maximum to measure from
        cells[:] = -128
    return Window(cells=cells, is_silence=largest < tables.silence_q9, spec_hash=tables.spec_hash)
