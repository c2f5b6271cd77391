"""The loop with a fake source: how it ends, what it reports, and that every output is closed."""

import queue
import signal

import numpy as np
import pytest

from edgegenre_runtime.live.audio_queue import AudioBlock, AudioQueue
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.live.listen_loop import listen

RATE_HZ = 1000


class Result:
    """What the loop looks at in an answer."""

    capture_ms = mel_ms = network_ms = 0.0
    dropped_samples = 0

    def __init__(self, end_s, skipped_windows=0):
        self.end_s, self.skipped_windows = end_s, skipped_windows


class Gate:
    zero_s = 0.0


class FakeAnalyzer:
    """One answer per block; ``skips`` says how many windows each left out, ``zeros`` for how long all was zero."""

    every_s = 1.0

    def __init__(self, skips=(), zeros=(), error=None):
        self.skips, self.zeros, self.error, self.gate, self.n = list(skips), list(zeros), error, Gate(), 0

    def process(self, block, backlog_s):
        if self.error is not None:
            raise self.error
        self.gate.zero_s = self.zeros[self.n] if self.n < len(self.zeros) else 0.0
        skipped = self.skips[self.n] if self.n < len(self.skips) else 0
        self.n += 1
        yield Result(float(self.n), skipped)

    def take_warnings(self):
        return ["samples are odd"] if self.n == 1 else []

    def finish(self):
        return iter(())


class FakeSource:
    error = None
    lost_samples = 0

    def __init__(self, audio_queue, n_blocks, error=None):
        self.audio_queue, self.n_blocks, self.error, self.captured_samples = audio_queue, n_blocks, error, 0

    def start(self):
        for _ in range(self.n_blocks):
            self.audio_queue.write(AudioBlock(np.zeros((1, 1), np.float32), RATE_HZ, 0, 0.0))
        self.captured_samples = self.n_blocks
        self.audio_queue.close()

    def stop(self):
        self.was_stopped = True


class Collector:
    def __init__(self, name="out", error=None):
        self.name, self.error, self.results, self.events, self.is_closed = name, error, [], [], False

    def result(self, result):
        if self.error:
            raise self.error
        self.results.append(result)

    def event(self, event):
        self.events.append(event)

    def close(self):
        self.is_closed = True
        if self.error:
            raise self.error


class Silent:
    def __init__(self):
        self.sent = []

    def send(self, *assignments):
        self.sent += assignments

    def alive(self):
        pass


def run(n_blocks=1, analyzer=None, outputs=None, error=None, events=()):
    audio_queue, pending = AudioQueue(1e6), queue.SimpleQueue()
    for event in events:
        pending.put(event)
    outputs = outputs or [Collector()]
    source, notifier = FakeSource(audio_queue, n_blocks, error), Silent()
    outcome = listen(source, audio_queue, analyzer or FakeAnalyzer(), outputs, Latency(), pending, notifier)
    assert source.was_stopped
    return outcome, outputs, notifier


def messages(output, kind):
    return [event.message for event in output.events if event.kind == kind]


def test_an_output_that_raises_is_reported_to_the_others_and_all_are_closed():
    bad, good = Collector("bad", OSError(28, "No space left on device")), Collector("good")
    outcome, _, _ = run(20, outputs=[bad, good])
    assert outcome.n_results == len(good.results) == 20
    assert messages(good, "output") == [
        "bad cannot be written (no space left on device); going on without it",
        "bad could not be closed (no space left on device)",
    ]
    assert bad.is_closed
    assert good.is_closed


def test_where_the_analysis_raises_every_output_is_closed_and_the_error_goes_on():
    output = Collector()
    with pytest.raises(ZeroDivisionError):
        run(3, analyzer=FakeAnalyzer(error=ZeroDivisionError()), outputs=[output])
    assert output.is_closed
    assert output.events[-1].kind == "ended"


def test_the_error_of_a_source_is_in_the_outcome():
    error = ValueError("odd")
    outcome, _, notifier = run(0, error=error)
    assert outcome.error is error
    assert (outcome.captured_samples, outcome.n_results) == (0, 0)
    assert notifier.sent[0] == "READY=1"
    assert notifier.sent[-1] == "STOPPING=1"


def test_being_behind_is_a_state_and_not_a_flood():
    skips = [1, 0] * 100 + [0] * 30
    _, (output,), _ = run(len(skips), FakeAnalyzer(skips))
    assert messages(output, "behind") == [
        "too slow for an answer every 1.00 s: windows are skipped", "keeping up again"
    ]  # fmt: skip


def test_a_microphone_with_a_noise_gate_does_not_flood():
    zeros = [6.0, 0.0] * 500
    _, (output,), _ = run(len(zeros), FakeAnalyzer(zeros=zeros))
    assert 1 <= len(messages(output, "zeros")) <= 2
    assert len(messages(output, "sound")) <= 2


def test_zeros_are_reported_after_five_seconds():
    _, (output,), _ = run(1, FakeAnalyzer(zeros=[4.9]))
    assert not messages(output, "zeros")
    _, (output,), _ = run(1, FakeAnalyzer(zeros=[5.0]))
    assert "has been zero for 5 s" in messages(output, "zeros")[0]


def test_warnings_of_the_analysis_are_events():
    _, (output,), _ = run(3)
    assert messages(output, "warning") == ["samples are odd"]


def test_events_of_threads_reach_every_output_and_the_service_manager():
    outputs = [Collector(), Collector()]
    _, _, notifier = run(1, outputs=outputs, events=[Event("live", "listening"), Event("output", "disk")])
    assert all([e.message for e in output.events][1:3] == ["listening", "disk"] for output in outputs)
    assert "STATUS=listening" in notifier.sent
    assert "STATUS=disk" not in notifier.sent


def test_a_name_cannot_send_the_service_manager_another_assignment():
    _, _, notifier = run(1, events=[Event("lost", "microphone a\nMAINPID=1 is gone")])
    assert "STATUS=microphone a\\nMAINPID=1 is gone" in notifier.sent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_its_handler_is_put_back(number):
    class Raising(Collector):
        def result(self, result):
            super().result(result)
            signal.raise_signal(number)

    found = signal.signal(number, signal.default_int_handler)  # whatever the tests' parent left, such as nohup's
    try:
        outcome, (output,), _ = run(500, outputs=[Raising()])
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, found)
    assert outcome.by_signal == number
    assert output.is_closed
