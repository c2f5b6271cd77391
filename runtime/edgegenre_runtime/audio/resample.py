"""From whatever a file or a microphone gives to what the front-end takes: one channel, int16, one rate.

Streaming and flat in memory: the state is soxr's filter, a few milliseconds of audio. Chunk sizes never
change the result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError

from . import native_passes

__all__ = ["LARGEST_SAMPLE", "MAX_CHANNELS", "MAX_RATE_HZ", "MIN_RATE_HZ", "Resampler"]

MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64
_FULL_SCALE = 32768.0
LARGEST_SAMPLE = 65536.0  # far above full scale (1.0), far below what would overflow float32 in the filter


class Resampler:
    """Down-mix (mean of the channels), resample (soxr HQ, float32) and round a stream to int16.

    At equal rates nothing is filtered: an int16 mono file comes out bit for bit.

    Parameters
    ----------
    in_rate_hz, out_rate_hz
        Sample rates in Hz, each 1000 to 768000.
    channels
        Channels of the input, 1 to 64.

    Attributes
    ----------
    bad_samples
        Input samples so far that were NaN or infinite; each counts as 0.
    n_samples, clipped_samples
        Samples returned so far, and those of them that were above full scale.

    Raises
    ------
    UsageError
        A rate or channel count outside what is allowed.
    """

    def __init__(self, in_rate_hz: int, channels: int, out_rate_hz: int) -> None:
        for rate_hz in (in_rate_hz, out_rate_hz):
            if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
                raise UsageError(
                    f"sample rate {rate_hz} Hz is out of range; allowed are {MIN_RATE_HZ} to {MAX_RATE_HZ}"
                )
        if not 1 <= channels <= MAX_CHANNELS:
            raise UsageError(f"{channels} channels are out of range; allowed are 1 to {MAX_CHANNELS}")
        self.channels = channels
        self.bad_samples = 0
        self.clipped_samples = self.n_samples = 0
        self._soxr = None
        if in_rate_hz != out_rate_hz:
            import soxr  # here: audio at the front-end's own rate needs no resampler

            self._soxr = soxr.ResampleStream(in_rate_hz, out_rate_hz, 1, dtype="float32", quality="HQ")

    def push(self, block: npt.NDArray[np.float32] | npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take the next samples and return those that are ready.

        Parameters
        ----------
        block
            float32 at full scale -1 to 1, or int16, [n, channels]; n may be 0.

        Returns
        -------
        numpy.ndarray
            int16 [m], mono at the output rate; m may be 0.

        Raises
        ------
        UsageError
            ``block`` has another number of channels.
        """
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise UsageError(f"a block of shape {block.shape} was pushed; it must be [n, {self.channels}]")
        mono = self._down_mix(block)
        return self._to_int16(mono if self._soxr is None else self._soxr.resample_chunk(mono))

    def flush(self) -> npt.NDArray[np.int16]:
        """End the stream and return what the filter holds, int16 [m]; the next push starts a new one."""
        if self._soxr is None:
            return np.zeros(0, np.int16)
        tail = self._soxr.resample_chunk(np.zeros(0, np.float32), last=True)
        self._soxr.clear()
        return self._to_int16(tail)

    def _down_mix(self, block: npt.NDArray[np.float32] | npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        """Return the mean of the channels, float32 [n] at full scale 1, added in one fixed order."""
        mixed = native_passes.mix(block, LARGEST_SAMPLE)
        if mixed is not None and mixed[1]:
            return mixed[0]
        if block.dtype == np.int16:
            block = block * np.float32(1 / _FULL_SCALE)
        if self.channels <= 2:  # the sum of two floats, halved, is rounded once, as it is by way of float64
            mono: npt.NDArray[np.float32]
            with np.errstate(over="ignore", invalid="ignore"):
                mono = block[:, 0].copy() if self.channels == 1 else (block[:, 0] + block[:, 1]) * np.float32(0.5)
            if _is_within(mono, LARGEST_SAMPLE):  # so that every sample is finite
                return mono
        is_good = np.isfinite(block)
        n_bad = block.size - int(np.count_nonzero(is_good))
        if n_bad:
            self.bad_samples += n_bad
            block = np.where(is_good, block, np.float32(0))
        if self.channels == 1:
            mono = block[:, 0].astype(np.float32)
        else:
            total = block[:, 0].astype(np.float64)
            for channel in range(1, self.channels):
                total += block[:, channel]
            mono = (total / self.channels).astype(np.float32)
        return np.clip(mono, -LARGEST_SAMPLE, LARGEST_SAMPLE)

    def _to_int16(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        """Round float32 [n] at full scale 1.0 to int16 [n], clipping and counting what is clipped."""
        self.n_samples += len(samples)
        by_c = native_passes.to_int16(samples)
        if by_c is not None:
            self.clipped_samples += by_c[1]
            return by_c[0]
        rounded: npt.NDArray[np.float32] = samples * np.float32(_FULL_SCALE)
        np.rint(rounded, out=rounded)
        if _is_within(rounded, _FULL_SCALE - 1):
            return rounded.astype(np.int16)
        self.clipped_samples += int(np.count_nonzero(np.abs(rounded) > _FULL_SCALE))
        return np.clip(rounded, -32768, 32767).astype(np.int16)


def _is_within(samples: npt.NDArray[np.float32], largest: float) -> bool:
    """Return whether float32 [n] lie between -largest and largest; not where one is NaN."""
    return not len(samples) or (float(samples.min()) >= -largest and float(samples.max()) <= largest)
