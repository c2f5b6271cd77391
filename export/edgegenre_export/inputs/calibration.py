"""The windows that set the scales of the activations."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError, SpecError
from edgegenre_runtime.frontend import Tables

__all__ = ["Calibration"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Windows drawn from the training split, and how to draw them again.

    Attributes
    ----------
    windows
        int8 [N, n_mels, frames_per_window], the front-end's cells.
    indices
        Which windows of ``source`` these are, N of them.
    seed
        Seed of the draw.
    source
        What they were drawn from, for people.
    spec_hash
        The front-end they come from.

    Raises
    ------
    DataError
        If there are none, all are silent, or shape, dtype or the number of indices is wrong.
    """

    windows: npt.NDArray[np.int8]
    indices: tuple[int, ...]
    seed: int
    source: str
    spec_hash: str

    def __post_init__(self) -> None:
        windows = self.windows
        if windows.ndim != 3 or windows.dtype != np.int8:
            raise DataError(
                f"calibration windows are int8 [N, n_mels, frames], not {windows.dtype} {list(windows.shape)}"
            )
        if not len(windows):
            raise DataError(f"calibration set from {self.source} is empty: give it a training split with audio")
        if len(self.indices) != len(windows):
            raise DataError(f"{len(windows)} calibration windows have {len(self.indices)} indices")
        if (windows == -128).all():
            raise DataError(
                f"all {len(windows)} calibration windows from {self.source} are silent: scales cannot be set from "
                "silence, check the audio of the training split"
            )

    def require_tables(self, tables: Tables) -> None:
        """Raise :class:`SpecError` unless these windows come from the front-end ``tables``."""
        spec = tables.spec
        shape = (spec.n_mels, spec.frames_per_window)
        if self.spec_hash != tables.spec_hash or self.windows.shape[1:] != shape:
            raise SpecError(
                f"calibration windows are of front-end {self.spec_hash[:12]}, the model is of "
                f"{tables.spec_hash[:12]} ({spec.name}): draw them with the model's front-end"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return all but the windows as JSON-ready keys and values."""
        return {
            "indices": [int(index) for index in self.indices],
            "n_windows": len(self.windows),
            "seed": self.seed,
            "source": self.source,
            "spec_hash": self.spec_hash,
        }
