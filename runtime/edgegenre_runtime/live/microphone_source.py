"""The microphone that comes back: a thread that opens it, watches that samples arrive, and opens it again."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgegenre_runtime.errors import MicrophoneError

from . import microphone as capture
from .audio_queue import AudioBlock, AudioQueue
from .events import Event

__all__ = ["STALL_S", "MicrophoneSource", "OpenMicrophone", "lost_band_message"]

STALL_S = 3.0
"""Without a sample for so long, a source counts as gone, whatever its driver says."""

_POLL_S = 0.1
_RETRY_S = (0.25, 0.5, 1.0)  # before the first, second, every later attempt to open
_STABLE_S = 10.0  # a device that gave samples for less than this is tried again ever more slowly,
_MAX_RETRY_S = 30.0  # down to this
_BAND_HZ = 11_025  # the highest frequency of the released front-ends


class OpenMicrophone(Protocol):
    """What :class:`.microphone.Microphone` offers; a test has its own."""

    info: capture.MicrophoneInfo
    rate_hz: int
    channels: int

    @property
    def is_active(self) -> bool:
        """Whether the device believes that it runs."""

    def close(self) -> None:
        """Release the device."""


def _open_microphone(name: str, on_block: Callable[[AudioBlock, bool], None]) -> OpenMicrophone:
    capture.refresh()
    return capture.Microphone(name, on_block)


class MicrophoneSource:
    """Fills a queue from a microphone, for as long as it is asked to.

    A block that follows an outage, or one before which the device reports lost samples, counts what is lost: the
    time since the last block, at its rate, less its own length.

    Parameters
    ----------
    name
        As in :func:`.microphone.match_name`.
    audio_queue
        Where the audio goes; closed when the thread ends.
    on_event
        Called, in the thread, with every :class:`~.events.Event`.
    retry
        Whether to wait for a microphone that is missing or gone; else the thread ends.
    open_microphone
        Opens the microphone of a name and hands its blocks to a function; raises MicrophoneError or OSError.
    clock
        Returns seconds, the clock of the blocks' ``arrived_s``.

    Attributes
    ----------
    error
        Why the thread ended, where it ended by itself; whatever was raised in it.
    captured_samples, lost_samples
        Counts since the start, at the device's rate.
    """

    def __init__(
        self,
        name: str,
        audio_queue: AudioQueue,
        on_event: Callable[[Event], None],
        *,
        retry: bool = True,
        open_microphone: Callable[[str, Callable[[AudioBlock, bool], None]], OpenMicrophone] = _open_microphone,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._queue, self._on_event, self._retry = name, audio_queue, on_event, retry
        self._open, self._clock = open_microphone, clock
        self._stop = threading.Event()
        self._wait = self._stop.wait  # returns whether to stop
        self._thread = threading.Thread(target=self.run, name="edgegenre-microphone", daemon=True)
        self._last_s: float | None = None  # when the last block arrived
        self._is_after_gap = False
        self._callback_error: Exception | None = None
        self.error: Exception | None = None
        self.captured_samples = 0
        self.lost_samples = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread; a driver that hangs in closing is left behind after ``timeout_s``."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Keep the microphone open until :meth:`stop`; this is what the thread does."""
        try:
            self._keep_open()
        except Exception as error:  # carried to the main loop
            self.error = error
        finally:
            self._queue.close()

    def _keep_open(self) -> None:
        n_failed = n_unstable = 0
        is_reported = False  # once per outage, not per attempt
        while not self._stop.is_set():
            live_s: float | None = None
            try:
                live_s = self._listen_once()
                trouble = "gives no samples" if live_s is None else "is gone: no samples arrive"
                trouble = f"microphone {self._name or '(default)'} {trouble}"
            except (MicrophoneError, OSError) as error:
                trouble, n_failed = str(error), n_failed + 1
                wait_s = _RETRY_S[min(n_failed, len(_RETRY_S)) - 1]
            else:
                n_failed, n_unstable = 0, 0 if live_s is not None and live_s >= _STABLE_S else n_unstable + 1
                wait_s = min(_RETRY_S[0] * 2.0 ** max(n_unstable - 1, 0), _MAX_RETRY_S)
            if self._stop.is_set():
                return
            if not self._retry:
                raise MicrophoneError(trouble)
            if live_s is not None or not is_reported:
                is_reported = True
                self._on_event(Event("lost", f"{trouble}; waiting for it"))
            if self._wait(wait_s):
                return

    def _listen_once(self) -> float | None:
        """Open the microphone; returns, when samples no longer arrive, for how long they did, or None for never.

        Raises
        ------
        MicrophoneError, OSError
            If it does not open.
        Exception
            Whatever was raised in the callback.
        """
        self._is_after_gap = self._last_s is not None
        opened_s = self._clock()
        live_since_s: float | None = None
        microphone = self._open(self._name, self._take)
        try:
            while not self._wait(_POLL_S):
                if self._callback_error is not None:
                    raise self._callback_error
                last_s = self._last_s
                if live_since_s is None and last_s is not None and last_s >= opened_s:
                    live_since_s = last_s
                    self._report_live(microphone)
                silent_since_s = opened_s if live_since_s is None or last_s is None else last_s
                if not microphone.is_active or self._clock() - silent_since_s > STALL_S:
                    break
        finally:
            microphone.close()
        return None if live_since_s is None or self._last_s is None else self._last_s - live_since_s

    def _report_live(self, microphone: OpenMicrophone) -> None:
        channels = {1: "mono", 2: "stereo"}.get(microphone.channels, f"{microphone.channels} channels")
        self._on_event(Event("live", f"listening to {microphone.info.name!r}, {microphone.rate_hz} Hz, {channels}"))
        if microphone.rate_hz < 2 * _BAND_HZ:
            self._on_event(Event("lossy", lost_band_message(microphone.rate_hz)))

    def _take(self, block: AudioBlock, is_after_loss: bool) -> None:
        """Put a block into the queue; runs in PortAudio's thread, where nothing may be raised."""
        try:
            lost = 0
            if (self._is_after_gap or is_after_loss) and self._last_s is not None:
                elapsed = round((block.arrived_s - self._last_s) * block.rate_hz)
                lost = max(elapsed - len(block.samples), 0)
            self._is_after_gap = False
            self._last_s = block.arrived_s
            self.captured_samples += len(block.samples)
            self.lost_samples += lost
            self._queue.write(dataclasses.replace(block, lost_samples=lost) if lost else block)
        except Exception as error:  # carried to the watching thread
            self._callback_error = error


def lost_band_message(rate_hz: int) -> str:
    """Return the sentence that says what a rate below the front-end's cannot hold."""
    return (
        f"{rate_hz} Hz holds nothing above {rate_hz // 2} Hz; the network was trained on up to {_BAND_HZ} Hz, "
        f"so the band from {rate_hz // 2} to {_BAND_HZ} Hz is lost and answers may be worse"
    )
