"""The microphone that comes back, with a fake device and a fake clock: no sound card, no waiting."""

import numpy as np
import pytest

from edgegenre_runtime.errors import MicrophoneError
from edgegenre_runtime.live.audio_queue import AudioBlock, AudioQueue
from edgegenre_runtime.live.microphone import MicrophoneInfo
from edgegenre_runtime.live.microphone_source import MicrophoneSource

RATE_HZ = 48_000


class FakeDevice:
    """Opens as its script says; one entry per attempt: an exception, or for how many seconds it gives samples.

    Time goes on when the source waits. Blocks are of 0.1 s.
    """

    def __init__(self, script, end_s=60.0, block_s=0.1, rate_hz=RATE_HZ):
        self.script, self.end_s, self.block_s, self.rate_hz = list(script), end_s, block_s, rate_hz
        self.now_s, self.opened_s, self.closed = 100.0, [], 0
        self.give, self.is_active, self.left_s = None, True, 0.0
        self.info, self.channels = MicrophoneInfo("fake mic", 3, 1), 1
        self.overflows = set()  # numbers of blocks before which the device reports a loss
        self.n_blocks = self.n_waits = 0
        self.silent_waits = range(0)

    def open(self, name, on_block):
        self.opened_s.append(round(self.now_s - 100.0, 3))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        self.give, self.left_s, self.is_active = on_block, step, True
        return self

    def close(self):
        self.closed += 1
        self.give = None

    def wait(self, seconds):
        self.now_s, self.n_waits = self.now_s + seconds, self.n_waits + 1
        if self.give is not None and self.left_s > 0 and self.n_waits not in self.silent_waits:
            n = round(min(self.block_s, self.left_s) * self.rate_hz)
            self.left_s = round(self.left_s - n / self.rate_hz, 6)
            self.n_blocks += 1
            block = AudioBlock(np.zeros((n, 1), np.float32), self.rate_hz, 0, self.now_s)
            self.give(block, self.n_blocks in self.overflows)
        if self.now_s - 100.0 > self.end_s:
            self.stop.set()
        return self.stop.is_set()


def run(device, **options):
    events, audio_queue = [], AudioQueue(1e6)
    source = MicrophoneSource(
        "mic", audio_queue, events.append, open_microphone=device.open, clock=lambda: device.now_s, **options
    )
    source._wait, device.stop = device.wait, source._stop
    source.run()
    blocks = []
    while (block := audio_queue.read(0.0)) is not None:
        blocks.append(block)
    assert audio_queue.is_ended
    return source, [(event.kind, event.message) for event in events], blocks


def test_a_device_that_does_not_open_is_tried_every_second_and_reported_once():
    device = FakeDevice([MicrophoneError("no microphone is there")], end_s=10)
    source, events, _ = run(device)
    assert events == [("lost", "no microphone is there; waiting for it")]
    assert device.opened_s[:4] == [0, 0.25, 0.75, 1.75]
    assert np.diff(device.opened_s[3:]) == pytest.approx(1.0)
    assert source.error is None


def test_a_device_that_opens_and_gives_nothing_is_reported_once_and_tried_ever_more_slowly():
    device = FakeDevice([0.0], end_s=3600)
    _, events, _ = run(device)
    assert events == [("lost", "microphone mic gives no samples; waiting for it")]
    gaps = np.diff(device.opened_s)
    assert gaps[0] == pytest.approx(3.1 + 0.25, abs=0.11)  # the stall limit, then the first wait
    assert gaps.max() == pytest.approx(3.1 + 30, abs=0.11)
    assert device.closed == len(device.opened_s)


def test_a_device_that_gives_half_a_block_and_dies_does_not_flood():
    device = FakeDevice([0.05], end_s=3600)
    _, events, _ = run(device)
    assert events[:2] == [
        ("live", "listening to 'fake mic', 48000 Hz, mono"),
        ("lost", "microphone mic is gone: no samples arrive; waiting for it"),
    ]
    assert len(events) < 2 * 3600 / 30 + 20


@pytest.mark.parametrize(("n_silent", "kinds"), [(28, ["live"]), (31, ["live", "lost", "live"])])
def test_the_stall_limit_is_three_seconds(n_silent, kinds):
    """2.9 s without a block are a pause; with the limit passed, the microphone is gone."""
    device = FakeDevice([1e6], end_s=12)
    device.silent_waits = range(50, 50 + n_silent)
    _, events, _ = run(device)
    assert [kind for kind, _ in events] == kinds
    assert len(device.opened_s) == len(kinds) // 2 + 1


def test_what_was_not_captured_during_an_outage_is_counted_without_the_block_itself():
    device = FakeDevice([2.0, MicrophoneError("gone"), 1e6], end_s=10)
    source, events, blocks = run(device)
    assert [kind for kind, _ in events] == ["live", "lost", "live"]
    (at,) = [i for i, block in enumerate(blocks) if block.lost_samples]
    elapsed = round((blocks[at].arrived_s - blocks[at - 1].arrived_s) * RATE_HZ)
    assert blocks[at].lost_samples == elapsed - len(blocks[at].samples) == source.lost_samples
    total = sum(block.lost_samples + len(block.samples) for block in blocks)
    first = len(blocks[0].samples)
    assert total - first == round((blocks[-1].arrived_s - blocks[0].arrived_s) * RATE_HZ)
    assert source.captured_samples == sum(len(block.samples) for block in blocks)


def test_a_loss_that_the_device_reports_is_counted():
    class Stuttering(FakeDevice):
        def wait(self, seconds):
            return super().wait(0.3 if self.n_blocks == 9 else seconds)

    device = Stuttering([1e6], end_s=5)
    device.overflows = {10}
    source, _, blocks = run(device)
    assert [i for i, block in enumerate(blocks) if block.lost_samples] == [9]
    assert source.lost_samples == round(0.2 * RATE_HZ)


def test_an_error_of_the_driver_is_an_outage_and_not_the_end():
    device = FakeDevice([OSError(19, "No such device"), 1e6], end_s=5)
    source, events, _ = run(device)
    assert [kind for kind, _ in events] == ["lost", "live"]
    assert "No such device" in events[0][1]
    assert source.error is None


def test_every_other_exception_is_carried_to_the_main_loop():
    device = FakeDevice([ZeroDivisionError("a fault of ours")], end_s=5)
    source, _, _ = run(device)
    assert isinstance(source.error, ZeroDivisionError)


def test_an_exception_in_the_callback_is_carried_to_the_main_loop():
    class Odd(FakeDevice):
        def wait(self, seconds):
            if self.give is not None:
                self.give("no block", False)
            return super().wait(seconds)

    device = Odd([1e6], end_s=5)
    source, _, _ = run(device)
    assert isinstance(source.error, AttributeError)
    assert device.closed == 1


@pytest.mark.parametrize("script", [[MicrophoneError("busy")], [0.0], [1.0], [OSError(5, "Input/output error")]])
def test_without_retry_the_first_outage_is_the_end(script):
    source, events, _ = run(FakeDevice(script), retry=False)
    assert isinstance(source.error, MicrophoneError)
    assert not [kind for kind, _ in events if kind == "lost"]


def test_a_device_that_was_stable_comes_back_fast():
    device = FakeDevice([0.1] * 12 + [60.0, 1e6], end_s=400)
    run(device)
    long_one = device.opened_s[12]
    assert device.opened_s[13] - (long_one + 60.0) == pytest.approx(3.1 + 0.25, abs=0.25)


def test_a_low_rate_names_the_lost_band():
    _, events, _ = run(FakeDevice([1e6], end_s=2, rate_hz=16_000))
    assert [kind for kind, _ in events] == ["live", "lossy"]
