"""Between the microphone's callback and the processing: a bounded queue of blocks that knows what it had to drop."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["AudioBlock", "AudioQueue"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """A block of samples as they came in.

    Attributes
    ----------
    samples
        float32 [n, channels], full scale 1.
    rate_hz
        Their rate in Hz.
    lost_samples
        Samples of the source, at ``rate_hz``, that are lost between the block before and this one.
    arrived_s
        When the last of them arrived, on the monotonic clock.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int
    lost_samples: int
    arrived_s: float


class AudioQueue:
    """A queue of :class:`AudioBlock` that never holds more than a few seconds, for one writer and one reader.

    A writer that cannot wait (:meth:`write`) drops the oldest audio, whose length goes into ``lost_samples`` of the
    block that follows it, so that captured and lost samples always add up.

    Parameters
    ----------
    capacity_s
        Seconds of audio it holds at most (and at least the newest block).
    """

    def __init__(self, capacity_s: float) -> None:
        self.capacity_s = capacity_s
        self._blocks: deque[AudioBlock] = deque()
        self._held_s = 0.0
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that wait to be read."""
        return self._held_s

    @property
    def is_ended(self) -> bool:
        """Whether it was closed and everything was read."""
        return self._is_closed and not self._blocks

    def write(self, block: AudioBlock) -> None:
        """Append a block; the oldest audio goes where there is no room."""
        with self._changed:
            self._append(block)
            while self._held_s > self.capacity_s and len(self._blocks) > 1:
                oldest = self._take()
                following = self._blocks[0]
                lost = (oldest.lost_samples + len(oldest.samples)) * following.rate_hz / oldest.rate_hz
                self._blocks[0] = dataclasses.replace(following, lost_samples=following.lost_samples + round(lost))
            self._changed.notify_all()

    def write_waiting(self, block: AudioBlock, timeout_s: float) -> bool:
        """Append a block where there is room or comes to be some within ``timeout_s``; returns whether there was."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held_s < self.capacity_s, timeout_s):
                return False
            self._append(block)
            self._changed.notify_all()
            return True

    def read(self, timeout_s: float) -> AudioBlock | None:
        """Return the oldest block, or None if none comes within ``timeout_s`` or at all."""
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._is_closed, timeout_s)
            if not self._blocks:
                return None
            block = self._take()
            self._changed.notify_all()
            return block

    def close(self) -> None:
        """End the queue: nothing more will be written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _append(self, block: AudioBlock) -> None:
        self._blocks.append(block)
        self._held_s += len(block.samples) / block.rate_hz

    def _take(self) -> AudioBlock:
        block = self._blocks.popleft()
        self._held_s = self._held_s - len(block.samples) / block.rate_hz if self._blocks else 0.0
        return block
