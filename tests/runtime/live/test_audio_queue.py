"""The queue between the callback and the processing: what it drops and counts, and how it waits."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgegenre_runtime.live.audio_queue import AudioBlock, AudioQueue


def block(samples, rate_hz):
    return AudioBlock(np.asarray(samples, np.float32).reshape(len(samples), -1), rate_hz, 0, 0.0)


@given(sizes=st.lists(st.integers(1, 300), max_size=40), reads=st.integers(0, 10))
def test_the_queue_drops_the_oldest_and_counts_it(sizes, reads):
    audio_queue, sample, seen, lost = AudioQueue(0.5), 0, [], 0
    for i, size in enumerate(sizes):
        audio_queue.write(block(np.arange(sample, sample + size), 1000))
        sample += size
        assert audio_queue.backlog_s <= 0.5
        if i % 11 < reads:
            one = audio_queue.read(0.0)
            seen.append(one)
    while (one := audio_queue.read(0.0)) is not None:
        seen.append(one)
    position = 0
    for one in seen:
        position += one.lost_samples
        lost += one.lost_samples
        assert one.samples[0, 0] == position  # what is lost lies exactly before
        position += len(one.samples)
    assert position == sample
    assert audio_queue.backlog_s == 0


def test_a_patient_writer_waits_and_loses_nothing():
    audio_queue, total = AudioQueue(0.1), 0
    writer = threading.Thread(
        target=lambda: (
            [audio_queue.write_waiting(block(np.ones(50), 1000), 5.0) for _ in range(100)] and audio_queue.close()
        )
    )
    writer.start()
    while not audio_queue.is_ended:
        one = audio_queue.read(1.0)
        if one is not None:
            assert one.lost_samples == 0
            total += len(one.samples)
    writer.join()
    assert total == 5000
    audio_queue = AudioQueue(0.1)
    assert audio_queue.write_waiting(block(np.ones(200), 1000), 0.0)
    assert not audio_queue.write_waiting(block(np.ones(1), 1000), 0.01)
