"""What is not given a genre: silence, sounds that are no music, and windows of which the network is not sure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError

__all__ = ["NOISE", "NOT_GENRES", "SILENCE", "UNCERTAIN", "UNCERTAIN_KEY", "LevelGate", "uncertain_below"]

SILENCE, NOISE, UNCERTAIN = "silence", "noise", "uncertain"
NOT_GENRES = (SILENCE, NOISE, UNCERTAIN)
UNCERTAIN_KEY = "uncertain_below"
"""The manifest's key of the confidence below which an answer is ``uncertain``."""

_QUIET_DBFS = -65.0
_QUIET_S = 2.0
_UNCERTAIN_BELOW = 0.35


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


def uncertain_below(manifest: Mapping[str, Any]) -> float:
    """Return the confidence below which an answer is ``uncertain``: the manifest's own, else 0.35.

    Raises
    ------
    BundleError
        If the manifest has one that is not from 0 to 1.
    """
    value = manifest.get(UNCERTAIN_KEY, _UNCERTAIN_BELOW)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BundleError(
            f"the bundle's manifest has {UNCERTAIN_KEY} {value!r}; allowed are 0 to 1: export the bundle again"
        )
    return float(value)
