"""Raw PCM from a pipe, such as ``arecord``'s, into the queue: for listening without PortAudio."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, cast

from edgegenre_runtime.audio.files import RAW_FORMATS, raw_frames
from edgegenre_runtime.audio.resample import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from edgegenre_runtime.errors import MicrophoneError, UsageError

from .audio_queue import AudioBlock, AudioQueue
from .events import Event
from .microphone_source import lost_band_message

__all__ = ["PipeSource"]

_POLL_S = 0.1
_LOSSY_BELOW_HZ = 22_050


class _StoppablePipe(io.RawIOBase):
    """A file descriptor whose reader can be told to stop: it then ends."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        super().__init__()
        self._descriptor, self._stop = descriptor, stop

    def read(self, size: int = -1, /) -> bytes:
        while not self._stop.is_set():
            if select.select([self._descriptor], [], [], _POLL_S)[0]:
                return os.read(self._descriptor, max(size, 1))
        return b""


class PipeSource:
    """Fills a queue from a pipe; where the queue is full the pipe waits, and nothing is lost.

    Parameters
    ----------
    descriptor
        Of the pipe.
    rate_hz, channels, fmt
        What it holds, as in :func:`~.sources.raw_blocks`.
    audio_queue, on_event
        As in :class:`~.watchdog.MicrophoneSource`.

    Attributes
    ----------
    captured_samples, lost_samples
        Counts so far; nothing is ever lost here.

    Raises
    ------
    UsageError
        A rate, channel count or format that is not allowed.
    """

    error: MicrophoneError | None = None
    lost_samples = 0

    def __init__(
        self,
        descriptor: int,
        rate_hz: int,
        channels: int,
        fmt: str,
        audio_queue: AudioQueue,
        on_event: Callable[[Event], None],
    ) -> None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise UsageError(f"sample rate {rate_hz} Hz is out of range; allowed are {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        if not 1 <= channels <= MAX_CHANNELS:
            raise UsageError(f"{channels} channels are out of range; allowed are 1 to {MAX_CHANNELS}")
        if fmt not in RAW_FORMATS:
            raise UsageError(f"raw format {fmt!r} is unknown; allowed are {', '.join(RAW_FORMATS)}")
        self._rate_hz, self._channels, self._fmt = rate_hz, channels, fmt
        self._queue, self._on_event = audio_queue, on_event
        self._stop = threading.Event()
        self._pipe = _StoppablePipe(descriptor, self._stop)
        self._thread = threading.Thread(target=self._run, name="edgegenre-pipe", daemon=True)
        self.captured_samples = 0

    def start(self) -> None:
        """Begin."""
        if self._rate_hz < _LOSSY_BELOW_HZ:
            self._on_event(Event("lossy", lost_band_message(self._rate_hz)))
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            for samples in raw_frames(cast(BinaryIO, self._pipe), self._channels, self._fmt):
                if not self.captured_samples:
                    self._on_event(
                        Event("live", f"listening to the pipe, {self._rate_hz} Hz, {self._channels} channel(s)")
                    )
                self.captured_samples += len(samples)
                block = AudioBlock(samples, self._rate_hz, 0, time.monotonic())
                while not self._queue.write_waiting(block, _POLL_S):
                    if self._stop.is_set():
                        return
        finally:
            self._queue.close()
