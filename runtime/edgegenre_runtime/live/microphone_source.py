"""The microphone that comes back: a thread that opens it, watches that samples arrive, and opens it again."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from edgegenre_runtime.errors import MicrophoneError

from . import microphone as capture
from .audio_queue import AudioBlock, AudioQueue
from .events import Event

__all__ = ["MicrophoneSource", "lost_band_message"]

_STALL_S = 3.0  # without a sample for so long, the device is taken for gone, whatever PortAudio says
_POLL_S = 0.1
_BACK_OFF_S = (0.25, 0.5, 1.0)  # before the first, second, every later attempt
_BAND_HZ = 11_025  # what the released front-ends hear up to


class MicrophoneSource:
    """Fills a queue from a microphone, for as long as it is asked to.

    A block that follows an outage, or one before which the device reports lost samples, says how many are lost: the
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

    Attributes
    ----------
    error
        Why the thread ended, where it ended by itself.
    captured_samples, lost_samples
        Counts since the start, at the device's rate.
    """

    def __init__(
        self, name: str, audio_queue: AudioQueue, on_event: Callable[[Event], None], *, retry: bool = True
    ) -> None:
        self._name, self._queue, self._on_event, self._retry = name, audio_queue, on_event, retry
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgegenre-microphone", daemon=True)
        self._last_s: float | None = None  # when the last block arrived
        self._is_after_gap = False
        self.error: MicrophoneError | None = None
        self.captured_samples = 0
        self.lost_samples = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread; a driver that hangs in closing is left behind after ``timeout_s``."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        attempt, is_reported = 0, False
        try:
            while not self._stop.is_set():
                try:
                    attempt, is_reported = self._listen_once(), False
                    trouble = f"microphone {self._name or '(default)'} is gone: no samples arrive"
                except MicrophoneError as error:
                    trouble = str(error)
                if self._stop.is_set():
                    return
                if not self._retry:
                    self.error = MicrophoneError(trouble)
                    return
                if not is_reported:
                    self._on_event(Event("lost", f"{trouble}; waiting for it"))
                    is_reported = True
                self._stop.wait(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)])
                attempt += 1
        finally:
            self._queue.close()

    def _listen_once(self) -> int:
        """Open the microphone and return 0 when samples no longer arrive; raises :class:`MicrophoneError`."""
        capture.refresh()
        self._is_after_gap = self._last_s is not None
        opened_s = time.monotonic()
        is_live = False
        microphone = capture.Microphone(self._name, self._take)
        try:
            while not self._stop.wait(_POLL_S):
                arrived_s = self._last_s
                heard = arrived_s is not None and arrived_s >= opened_s
                if heard and not is_live:
                    is_live = True
                    self._report_live(microphone)
                quiet_since_s = arrived_s if heard and arrived_s is not None else opened_s
                if not microphone.is_active or time.monotonic() - quiet_since_s > _STALL_S:
                    break
        finally:
            microphone.close()
        return 0

    def _report_live(self, microphone: capture.Microphone) -> None:
        channels = {1: "mono", 2: "stereo"}.get(microphone.channels, f"{microphone.channels} channels")
        self._on_event(Event("live", f"listening to {microphone.info.name!r}, {microphone.rate_hz} Hz, {channels}"))
        if microphone.rate_hz < 2 * _BAND_HZ:
            self._on_event(Event("lossy", lost_band_message(microphone.rate_hz)))

    def _take(self, block: AudioBlock, is_after_loss: bool) -> None:
        """Put a block into the queue; runs in PortAudio's thread."""
        lost = 0
        if (self._is_after_gap or is_after_loss) and self._last_s is not None:
            elapsed = round((block.arrived_s - self._last_s) * block.rate_hz)
            lost = max(elapsed - len(block.samples), 0)
        self._is_after_gap = False
        self._last_s = block.arrived_s
        self.captured_samples += len(block.samples)
        self.lost_samples += lost
        self._queue.write(dataclasses.replace(block, lost_samples=lost) if lost else block)


def lost_band_message(rate_hz: int) -> str:
    """Return the sentence that says what a rate below the front-end's cannot hold."""
    return (
        f"{rate_hz} Hz holds nothing above {rate_hz // 2} Hz; the network was trained on up to {_BAND_HZ} Hz, "
        f"so the band from {rate_hz // 2} to {_BAND_HZ} Hz is lost and answers may be worse"
    )
