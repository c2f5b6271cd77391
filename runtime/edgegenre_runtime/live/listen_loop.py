"""The loop that listens for days: a source fills the queue, this empties it and hands the answers to the outputs.

Threads: this one (front-end, network, outputs); the source's, which opens the microphone and watches it; PortAudio's,
which calls back with samples; and, where asked for, one of the status page and one of MQTT.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from edgegenre_runtime.printable import printable

from .analyzer import Analyzer, LiveResult
from .audio_queue import AudioBlock, AudioQueue
from .events import KEEPING_UP, Event
from .guarded_output import GuardedOutput
from .latency import Latency
from .output import Output, ServiceNotifier
from .reported_state import ReportedState

__all__ = ["QUEUE_S", "ListenOutcome", "Source", "listen"]

QUEUE_S = 8.0
"""Seconds of audio that the queue holds."""

_POLL_S = 0.2
_ZEROS_S = 5.0
_CAUGHT_UP_S = 10.0  # without a skipped window for so long, it keeps up again
_LAST_WORK_S = 0.5


class Source(Protocol):
    """What fills the queue in a thread of its own.

    Attributes
    ----------
    error
        Why it ended, where it ended by itself because something failed.
    captured_samples, lost_samples
        Counts since the start.
    """

    error: Exception | None
    captured_samples: int
    lost_samples: int

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End the thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class ListenOutcome:
    """How listening ended.

    Attributes
    ----------
    by_signal
        The signal that ended it, or 0.
    error
        What ended the source, if something failed.
    captured_samples, n_results
        Samples of the source, and answers, in all.
    """

    by_signal: int
    error: Exception | None
    captured_samples: int
    n_results: int


class _Loop:
    """State of :func:`listen`."""

    def __init__(
        self,
        source: Source,
        audio_queue: AudioQueue,
        analyzer: Analyzer,
        outputs: Sequence[Output],
        latency: Latency,
        notifier: ServiceNotifier,
    ) -> None:
        self.source, self.audio_queue, self.analyzer = source, audio_queue, analyzer
        self.outputs = [GuardedOutput(output, self.emit) for output in outputs]
        self.latency, self.notifier = latency, notifier
        self.signal = 0
        self.wants_statistics = False
        self.results = self.dropped = self.skipped = 0
        self.zeros, self.behind = ReportedState(), ReportedState()
        self.skipped_at_s = -_CAUGHT_UP_S  # end of the latest window that followed skipped ones

    def emit(self, event: Event) -> None:
        """Hand an event to every output."""
        for output in self.outputs:
            output.event(event)
        if event.kind in ("live", "lost"):
            self.notifier.send(f"STATUS={printable(event.message)}")

    def process(self, block: AudioBlock, backlog_s: float) -> None:
        """Process a block; see :meth:`.Analyzer.process`."""
        self._deliver(self.analyzer.process(block, backlog_s))
        for warning in self.analyzer.take_warnings():
            self.emit(Event("warning", warning))
        zero_s = self.analyzer.gate.zero_s
        if zero_s >= _ZEROS_S and self.zeros.update(True):
            message = f"every sample has been zero for {zero_s:.0f} s: is the microphone muted or broken?"
            self.emit(Event("zeros", message))
        elif not zero_s and self.zeros.update(False):
            self.emit(Event("sound", "samples are no longer all zero"))

    def _deliver(self, results: Iterable[LiveResult]) -> None:
        for result in results:
            began = time.perf_counter()
            for output in self.outputs:
                output.result(result)
            out_ms = (time.perf_counter() - began) * 1e3
            self.latency.add(result.capture_ms, result.mel_ms, result.network_ms, out_ms)
            self.results += 1
            self.dropped += result.dropped_samples
            self.skipped += result.skipped_windows
            self._report_backlog(result)

    def _report_backlog(self, result: LiveResult) -> None:
        if result.skipped_windows:
            self.skipped_at_s = result.end_s
        is_behind = result.end_s - self.skipped_at_s < _CAUGHT_UP_S
        if self.behind.update(is_behind):
            behind = f"too slow for an answer every {self.analyzer.every_s:.2f} s: windows are skipped"
            self.emit(Event("behind", behind if is_behind else KEEPING_UP))

    def finish(self) -> None:
        """Process what is left in the queue, for half a second at most, and end the stream."""
        deadline_s = time.monotonic() + _LAST_WORK_S
        while time.monotonic() < deadline_s and (block := self.audio_queue.read(0.0)) is not None:
            self.process(block, 0.0)
        if not self.results:
            self._deliver(self.analyzer.finish())

    def close(self) -> None:
        """Report the counts and close every output."""
        self.emit(Event("ended", self.describe()))
        for output in self.outputs:
            output.close()

    def describe(self) -> str:
        """Return the counts and the latency on one line."""
        return (
            f"{self.source.captured_samples} samples captured, {self.source.lost_samples} not captured, "
            f"{self.dropped} lost in all, {self.results} answers, {self.skipped} windows skipped; "
            f"{self.latency.describe()}"
        )


def listen(
    source: Source,
    audio_queue: AudioQueue,
    analyzer: Analyzer,
    outputs: Sequence[Output],
    latency: Latency,
    events: queue.SimpleQueue[Event],
    notifier: ServiceNotifier,
    *,
    on_block: Callable[[AudioBlock], None] | None = None,
    can_skip: bool = True,
) -> ListenOutcome:
    """Listen until SIGTERM, SIGINT, SIGHUP or the source ends it; then write what is left and close the outputs.

    On SIGUSR1 an event holds counts and percentiles, and so does the last event of all. An output that raises is
    reported as an event and ends nothing.

    Parameters
    ----------
    source, audio_queue
        What fills the queue, not yet started, and the queue.
    analyzer
        What makes answers of blocks.
    outputs
        Where answers and events go; closed at the end, whatever happens.
    latency
        Gets the times of each answer.
    events
        Events of other threads; every one goes to the outputs.
    notifier
        Notified when listening begins, goes on and ends.
    on_block
        Also called with every block.
    can_skip
        Whether windows are skipped when the processing is behind; a source that waits needs none of this.
    """
    loop = _Loop(source, audio_queue, analyzer, outputs, latency, notifier)
    with _signals(loop), contextlib.ExitStack() as ending:
        for last in (loop.close, lambda: _emit_pending(loop, events), loop.finish, source.stop):  # in reverse
            ending.callback(last)
        ending.callback(notifier.send, "STOPPING=1")
        source.start()
        notifier.send("READY=1")
        while not loop.signal and not audio_queue.is_ended:
            block = audio_queue.read(_POLL_S)
            if block is not None:
                if on_block is not None:
                    on_block(block)
                loop.process(block, audio_queue.backlog_s if can_skip else 0.0)
            _emit_pending(loop, events)
            notifier.alive()
    return ListenOutcome(loop.signal, source.error, source.captured_samples, loop.results)


def _emit_pending(loop: _Loop, events: queue.SimpleQueue[Event]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            loop.emit(events.get_nowait())
    if loop.wants_statistics:
        loop.wants_statistics = False
        loop.emit(Event("statistics", loop.describe()))


@contextlib.contextmanager
def _signals(loop: _Loop) -> Iterator[None]:
    """Let signals set flags of the loop, and put back what they did before.

    SIGPIPE is ignored: a client of the status page that goes early must not end the program.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        loop.signal = number

    def ask(_number: int, _frame: FrameType | None) -> None:
        loop.wants_statistics = True

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    if hasattr(signal, "SIGUSR1"):
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, ask)
        before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
