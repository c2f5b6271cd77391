"""What is not given a genre: silence, steady noise, and windows of which the network is not sure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import FrontendSpec, Window
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db

__all__ = ["NOISE", "NOT_GENRES", "SILENCE", "UNCERTAIN", "LevelGate", "is_steady_noise", "uncertain_below"]

SILENCE, NOISE, UNCERTAIN = "silence", "noise", "uncertain"
NOT_GENRES = (SILENCE, NOISE, UNCERTAIN)

_QUIET_DBFS = -65.0
_QUIET_S = 2.0
_STEADY_DB = 3.0
_UNCERTAIN_BELOW = 0.35
_KEY = "uncertain_below"


@dataclasses.dataclass(slots=True)
class LevelGate:
    """Measures the level, and says when it has been below -65 dBFS (RMS) for two seconds.

    Attributes
    ----------
    quiet_s
        Seconds since the level was above.
    zero_s
        Seconds since the last sample that was not zero.
    """

    quiet_s: float = 0.0
    zero_s: float = 0.0

    def push(self, pcm: npt.NDArray[np.int16], rate_hz: int) -> float:
        """Take int16 [n]; returns their level in dB relative to a full-scale square wave, at least -120."""
        if not pcm.size:
            return -120.0
        seconds = len(pcm) / rate_hz
        level_dbfs = 10 * np.log10(max(np.mean(np.square(pcm, dtype=np.float64)) / 2.0**30, 1e-12))
        self.quiet_s = 0.0 if level_dbfs >= _QUIET_DBFS else self.quiet_s + seconds
        self.zero_s = 0.0 if pcm.any() else self.zero_s + seconds
        return float(level_dbfs)

    @property
    def is_quiet(self) -> bool:
        """Whether it has been quiet for long enough to call it silence."""
        return self.quiet_s >= _QUIET_S


def is_steady_noise(window: Window, spec: FrontendSpec) -> bool:
    """Whether the window is as steady as a fan, rain, hum or a test tone, which no music is.

    The standard deviation over time of the level of a mel band is 2.1 dB in the median band for Gaussian noise of any
    color, and at least 4 dB for the windows of the GTZAN clips that were looked at; the border is 3 dB. Bands that lie
    at the window's floor do not count.
    """
    sounding = np.median(window.cells, axis=1) > CELL_ZERO_POINT
    if not sounding.any():
        return True
    deviation_db = window.cells[sounding].std(axis=1, dtype=np.float64) * cell_scale_db(spec.top_db)
    return bool(np.median(deviation_db) < _STEADY_DB)


def uncertain_below(manifest: Mapping[str, Any]) -> float:
    """Return the confidence below which an answer is ``uncertain``: the manifest's own, else 0.35.

    Raises
    ------
    BundleError
        If the manifest has one that is not from 0 to 1.
    """
    value = manifest.get(_KEY, _UNCERTAIN_BELOW)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BundleError(f"the bundle's manifest has {_KEY} {value!r}; allowed are 0 to 1: export the bundle again")
    return float(value)
