"""Audio on its way to the front-end: int16 mono blocks at one rate, whatever the source."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import AudioError

from .resample import Resampler

__all__ = ["PcmBlocks"]

_CLIPPED_SHARE = 0.01  # lossy decoders overshoot now and then; so much is a level that is wrong


class PcmBlocks(Iterator["npt.NDArray[np.int16]"]):
    """An iterator over int16 mono blocks [m] at one rate that remembers what was wrong with its source.

    Attributes
    ----------
    name
        What the source is called in messages.
    damages
        Complete once the iterator is exhausted: one sentence each on a source that ends early, is not read to its
        end, or holds NaN or infinite samples. Empty for a sound source.
    notes
        What was done about something unusual, e.g. samples above full scale.
    """

    def __init__(
        self,
        name: str,
        frames: Iterator[npt.NDArray[np.float32] | npt.NDArray[np.int16]],
        resampler: Resampler,
        damages: list[str],
        notes: list[str] | None = None,
    ) -> None:
        self.name = name
        self.damages = damages
        self.notes = [] if notes is None else notes
        self._blocks = self._run(frames, resampler)

    @property
    def warnings(self) -> list[str]:
        """Damages, then notes."""
        return [*self.damages, *self.notes]

    def __iter__(self) -> PcmBlocks:
        return self

    def __next__(self) -> npt.NDArray[np.int16]:
        return next(self._blocks)

    def _run(
        self, frames: Iterator[npt.NDArray[np.float32] | npt.NDArray[np.int16]], resampler: Resampler
    ) -> Iterator[npt.NDArray[np.int16]]:
        n_frames = 0
        for block in frames:
            n_frames += len(block)
            pcm = resampler.push(block)
            if pcm.size:
                yield pcm
        if n_frames == 0:
            raise AudioError(f"{self.name}: contains no audio")
        tail = resampler.flush()
        if tail.size:
            yield tail
        if resampler.bad_samples:
            self.damages.append(f"{resampler.bad_samples} samples are NaN or infinite")
        share = resampler.clipped_samples / max(resampler.n_samples, 1)
        if share > _CLIPPED_SHARE:
            self.notes.append(f"{share:.1%} of the samples are above full scale and were clipped: lower its level")
