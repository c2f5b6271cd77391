"""PCM from a pipe, such as ``arecord``'s, into the queue: for listening without PortAudio."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, cast

from edgegenre_runtime.audio.raw_pcm import PcmStream, check_raw_format, open_pcm

from .audio_queue import AudioBlock, AudioQueue
from .events import Event
from .microphone_source import STALL_S, lost_band_message
from .reported_state import ReportedState

__all__ = ["PipeSource"]

_POLL_S = 0.1
_LOSSY_BELOW_HZ = 22_050


class _StoppablePipe(io.RawIOBase):
    """A file descriptor whose reader can be stopped from another thread."""

    def __init__(self, descriptor: int, stop: threading.Event, on_stall: Callable[[], None]) -> None:
        super().__init__()
        self._descriptor, self._stop, self._on_stall = descriptor, stop, on_stall

    def read(self, size: int = -1, /) -> bytes:
        began_s = time.monotonic()
        while not self._stop.is_set():
            if select.select([self._descriptor], [], [], _POLL_S)[0]:
                return os.read(self._descriptor, max(size, 1))
            if time.monotonic() - began_s > STALL_S:
                self._on_stall()
        return b""


class PipeSource:
    """Fills a queue from a pipe; where the queue is full the pipe waits, and nothing is lost.

    Parameters
    ----------
    descriptor
        Of the pipe.
    rate_hz, channels, fmt
        What it holds, as in :func:`.raw_pcm.open_pcm`.
    audio_queue, on_event
        As in :class:`~.microphone_source.MicrophoneSource`.

    Attributes
    ----------
    error
        What was raised in the thread: an AudioError where the pipe holds no PCM.
    captured_samples, lost_samples
        Counts so far; nothing is ever lost here.

    Raises
    ------
    UsageError
        A rate, channel count or format that is not allowed.
    """

    error: Exception | None = None
    lost_samples = 0

    def __init__(
        self,
        descriptor: int,
        rate_hz: int | None,
        channels: int | None,
        fmt: str | None,
        audio_queue: AudioQueue,
        on_event: Callable[[Event], None],
    ) -> None:
        check_raw_format(rate_hz, channels, fmt)
        self._format = rate_hz, channels, fmt
        self._queue, self._on_event = audio_queue, on_event
        self._stop = threading.Event()
        self._pipe = _StoppablePipe(descriptor, self._stop, self._report_stall)
        self._flow = ReportedState()  # whether samples arrive
        self._is_waiting = False
        self._thread = threading.Thread(target=self._run, name="edgegenre-pipe", daemon=True)
        self.captured_samples = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._fill_queue(open_pcm(cast(BinaryIO, self._pipe), *self._format))
        except Exception as error:  # carried to the main loop
            self.error = error
        finally:
            self._queue.close()

    def _report_stall(self) -> None:
        """Report once that the program at the other end gives nothing."""
        is_first = not self._is_waiting and not self.captured_samples
        self._is_waiting = True
        if self._flow.update(False) or is_first:
            self._on_event(Event("lost", "no audio arrives through the pipe; waiting for it"))

    def _fill_queue(self, pcm: PcmStream) -> None:
        if pcm.rate_hz < _LOSSY_BELOW_HZ:
            self._on_event(Event("lossy", lost_band_message(pcm.rate_hz)))
        for samples in pcm.frames:
            self._is_waiting = False
            if self._flow.update(True):
                self._on_event(Event("live", f"listening to the pipe, {pcm.rate_hz} Hz, {pcm.channels} channel(s)"))
            self.captured_samples += len(samples)
            block = AudioBlock(samples, pcm.rate_hz, 0, time.monotonic())
            while not self._queue.write_waiting(block, _POLL_S):
                if self._stop.is_set():
                    return
        for warning in pcm.warnings:
            self._on_event(Event("warning", warning))
