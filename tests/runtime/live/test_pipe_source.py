"""Listening to a pipe, and what people do wrong: garbage, rates that are none, options that do not belong together."""

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from json_records import valid_records
from running import Running

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock, AudioQueue
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.live.listen_loop import listen
from edgegenre_runtime.live.pipe_source import PipeSource
from edgegenre_runtime.run import main
from edgegenre_runtime.system.systemd_notify import Notifier

RATE_HZ = 22050


def listened(data, *arguments):
    command = [sys.executable, "-m", "edgegenre_runtime.run", "-", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)


def lines(done):
    return valid_records(done.stdout.splitlines())


def test_a_pipe_is_answered_every_so_often_and_to_its_end():
    done = listened(render("disco", 1, 20.0).tobytes(), "--every", "0.5", "--json")
    assert done.returncode == 0
    records = lines(done)
    results = [record for record in records if record["kind"] == "result"]
    hop_s = 22 * 512 / RATE_HZ  # 0.5 s in whole frames
    assert np.diff([record["end_s"] for record in results]).max() < hop_s + 0.0011
    assert len(results) == pytest.approx(20 / hop_s, abs=1.5)
    assert {record["dropped_samples"] for record in results} == {0}
    assert results[-1]["end_s"] > 19
    assert records[-1]["event"] == "ended"
    assert records[-1]["message"].startswith(f"{20 * RATE_HZ} samples captured, 0 not captured, 0 lost in all")


def test_plain_lines_where_there_is_no_terminal_and_events_apart():
    done = listened(render("disco", 1, 3.0).tobytes(), "--every", "1")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert b"\x1b" not in done.stdout
    assert b"listening to the pipe" in done.stderr


def test_a_picture_where_there_is_a_terminal(tmp_path):
    import pty

    main, end = pty.openpty()
    command = [sys.executable, "-m", "edgegenre_runtime.run", "-", "--every", "0.5"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    process.stdin.write(render("disco", 1, 4.0).tobytes())
    process.stdin.close()
    shown = b""
    try:
        while chunk := os.read(main, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(main)
    assert process.wait(20) == 0
    process.stderr.close()
    assert "█".encode() in shown
    assert b"samples lost" in shown
    assert shown.rstrip().endswith(b"\x1b[?25h")


def test_a_short_pipe_is_answered_once_and_an_empty_one_not_at_all():
    done = listened(render("disco", 1, 0.5).tobytes(), "--every", "1", "--json")
    assert [record["is_repeated"] for record in lines(done) if record["kind"] == "result"] == [True]
    done = listened(b"", "--every", "1", "--json")
    assert done.returncode == 2
    assert [record["kind"] for record in lines(done)] == ["event"]
    assert b"standard input ended before any audio" in done.stderr
    done = listened(b"\1\0" * 100, "--every", "1", "--json")
    assert done.returncode == 2
    assert b"standard input: too short to classify; at least 93 ms" in done.stderr


def test_a_low_rate_works_and_names_the_lost_band():
    done = listened(render("disco", 1, 4.0)[::2].tobytes(), "--every", "1", "--rate", "16000", "--json")
    assert done.returncode == 0
    assert b"the band from 8000 to 11025 Hz is lost" in done.stderr
    assert [record for record in lines(done) if record["kind"] == "result"]


def test_garbage_nan_and_huge_floats_are_survived():
    rng = np.random.default_rng(0)
    wild = rng.normal(size=4 * RATE_HZ).astype("<f4")
    wild[::7], wild[1::7], wild[2::7] = np.nan, 3e38, -np.inf
    for data, fmt in ((wild.tobytes(), "f32le"), (rng.bytes(400_003), "f32le")):
        done = listened(data, "--every", "1", "--format", fmt, "--json")
        assert done.returncode == 0, done.stderr
        assert [record for record in lines(done) if record["kind"] == "result"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-", "--every", "1", "--rate", "0"], "0 Hz is out of range"),
        (["-", "--every", "1", "--rate", "10000000"], "out of range"),
        (["-", "--every", "1", "--channels", "99"], "99 channels"),
        (["-", "--every", "0"], "allowed are 0.1 to 3600"),
        (["-", "--every", "nan"], "allowed are 0.1 to 3600"),
        (["-", "--smooth", "-1"], "allowed are 0 to 3600"),
        (["song.wav", "--every", "1"], "--every is for listening"),
        (["song.wav", "--mqtt", "mqtt://x"], "--mqtt is for listening"),
        (["--mic", "vmic", "song.wav"], "takes no FILE"),
        (["-", "--every", "1", "--http", "x"], "--http 'x' is no address"),
        (["-", "--every", "1", "--mqtt", "x"], "--mqtt takes"),
        (["-", "--every", "1", "--log", "/no/such/folder/log"], "cannot be written"),
        (["-", "--every", "1", "--save-clips", "/proc/clips"], "cannot be used"),
    ],
)
def test_wrong_options_are_one_line(monkeypatch, capsys, arguments, says):
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        code = main(arguments)
    captured = capsys.readouterr()
    assert (code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert says in captured.err


def test_signals_end_it_quickly_with_what_was_heard():
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        with Running("-", "--every", "0.5", stdin=subprocess.PIPE) as run:
            run.process.stdin.write(render("disco", 1, 3.0).tobytes())
            run.process.stdin.flush()
            run.wait_for(lambda: run.results)
            time.sleep(0.3)
            assert run.stop(number) < 2
            assert run.process.returncode == code
            assert run.results[-1]["end_s"] > 2.4
            assert run.events[-1][0] == "ended"


def test_full_disks_and_dead_brokers_do_not_stop_it(tmp_path):
    arguments = ["--every", "0.5", "--json", "--log", "/dev/full", "--mqtt", "mqtt://127.0.0.1:1", "--http", ":0"]
    pytest.importorskip("paho.mqtt.client", reason="needs the extra mqtt")
    with Running("-", *arguments, stdin=subprocess.PIPE) as run:
        run.wait_for_event("output")
        for _ in range(4):
            run.process.stdin.write(render("disco", 1, 1.0).tobytes())
            run.process.stdin.flush()
        run.wait_for(lambda: len(run.results) > 3)
        assert run.stop() < 2
    said = " ".join(message for _, message in run.events)
    assert "no space left on device" in said
    assert "cannot be reached" in said
    assert run.process.returncode == 0


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_full_standard_output_does_not_end_listening(tmp_path, flags):
    command = [sys.executable, "-m", "edgegenre_runtime.run", "-", "--every", "0.5", "--log", tmp_path / "log", *flags]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command,
            input=render("disco", 1, 4.0).tobytes(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0
    assert done.stderr.count(b"standard output cannot be written (no space left on device); going on without it") == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    records = valid_records((tmp_path / "log").read_text().splitlines())
    assert sum(record["kind"] == "result" for record in records) >= 4
    assert records[-1]["event"] == "ended"


def test_a_pipe_that_gives_nothing_is_reported_once_and_so_is_its_return(monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.live.pipe_source.STALL_S", 0.2)
    events, audio_queue = queue.SimpleQueue(), AudioQueue(100.0)
    read_end, write_end = os.pipe()
    source = PipeSource(read_end, RATE_HZ, 1, "s16le", audio_queue, events.put)
    source.start()
    assert events.get(timeout=10).kind == "lost"
    for _ in range(2):
        os.write(write_end, b"\1\0" * 1000)
        assert events.get(timeout=10).kind == "live"
        assert events.get(timeout=10).kind == "lost"
        time.sleep(0.5)
        assert events.empty()
    os.close(write_end)
    source.stop()
    os.close(read_end)


def test_a_pipe_that_cannot_be_read_ends_with_its_error():
    """Reading a directory fails, as reading a terminal that goes away does."""
    descriptor = os.open("/", os.O_RDONLY)
    audio_queue = AudioQueue(1.0)
    source = PipeSource(descriptor, RATE_HZ, 1, "s16le", audio_queue, pytest.fail)
    source.start()
    assert audio_queue.read(5.0) is None
    assert audio_queue.is_ended
    assert isinstance(source.error, IsADirectoryError)
    source.stop()
    os.close(descriptor)


def test_a_reader_that_leaves_ends_it_quietly():
    command = [sys.executable, "-m", "edgegenre_runtime.run", "-", "--every", "0.2", "--json"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
    process.stdin.write(render("disco", 1, 2.0).tobytes())
    assert process.stdout.readline()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # it may have ended by now, with its next answer
        process.stdin.write(render("disco", 1, 2.0).tobytes())
    assert process.wait(60) == 0
    assert b"Traceback" not in process.stderr.read()
    process.stdin.close()
    process.stderr.close()


def test_a_client_of_the_page_that_goes_early_ends_nothing():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Running("-", "--every", "0.5", "--http", f":{port}", stdin=subprocess.PIPE) as run:
        run.process.stdin.write(render("disco", 1, 3.0).tobytes())
        run.process.stdin.flush()
        run.wait_for(lambda: run.results)
        for _ in range(5):
            rude = socket.create_connection(("127.0.0.1", port))
            rude.sendall(b"GET / HTTP/1.1\r\n\r\n")
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            rude.close()  # with a reset
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            assert b"edgegenre_results_total" in reply.read()
        assert run.process.poll() is None
        assert "Traceback" not in run.errors


class Feeder:
    """A microphone that is fed by the test, in real time or not, and never waits."""

    error = None
    lost_samples = 0

    def __init__(self, audio_queue, samples, every_s, speed):
        self._queue, self._samples, self._step = audio_queue, samples, round(every_s * RATE_HZ)
        self._pause_s = every_s / speed
        self.captured_samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        for at in range(0, len(self._samples), self._step):
            part = self._samples[at : at + self._step]
            self.captured_samples += len(part)
            self._queue.write(AudioBlock(part, RATE_HZ, 0, time.monotonic()))
            if self._stop.wait(self._pause_s):
                break
        self._queue.close()


class Collector:
    name = "collector"

    def __init__(self):
        self.results, self.events, self.backlogs = [], [], []

    def result(self, result):
        self.results.append(result)

    def event(self, event):
        self.events.append(event)

    def close(self):
        self.events.append(Event("closed", ""))


class SlowClassifier(GenreClassifier):
    """A network that takes 0.4 s, as on a device that is far too slow."""

    def probabilities(self, cells):
        time.sleep(0.4)
        return super().probabilities(cells)


def run_loop(classifier, seconds, speed, every_s, ring_s=8.0, collector=None):
    samples = (render("disco", 1, seconds).astype(np.float32) / 32768)[:, None]
    audio_queue, collector = AudioQueue(ring_s), collector or Collector()
    feeder = Feeder(audio_queue, samples, 0.05, speed)
    before = set(threading.enumerate())
    analyzer = Analyzer(classifier, every_s, 0)
    ended = listen(feeder, audio_queue, analyzer, [collector], Latency(), queue.SimpleQueue(), Notifier())
    assert set(threading.enumerate()) <= before  # no thread left behind
    assert ended.error is None
    return collector, feeder


def test_a_device_that_is_too_slow_skips_windows_and_never_falls_behind():
    collector, _ = run_loop(SlowClassifier.load(), seconds=4.0, speed=1.0, every_s=0.1)
    skipped = sum(result.skipped_windows for result in collector.results)
    assert skipped > 12
    assert sum(result.dropped_samples for result in collector.results) == 0  # windows are skipped, audio is not lost
    assert collector.results[-1].end_s > 3
    assert [event.kind for event in collector.events].count("behind") >= 1
    assert "too slow for an answer every" in next(e.message for e in collector.events if e.kind == "behind")


def test_a_signal_ends_every_thread():
    class Ending(Collector):
        def result(self, result):
            super().result(result)
            signal.raise_signal(signal.SIGTERM)

    collector, feeder = run_loop(GenreClassifier.load(), 30.0, speed=1.0, every_s=0.5, collector=Ending())
    assert feeder.captured_samples < 30 * RATE_HZ
    assert [event.kind for event in collector.events[-2:]] == ["ended", "closed"]


def test_an_overrun_drops_the_oldest_and_every_sample_is_accounted_for():
    collector, feeder = run_loop(SlowClassifier.load(), seconds=60.0, speed=40.0, every_s=5.0, ring_s=2.0)
    dropped = sum(result.dropped_samples for result in collector.results)
    last = collector.results[-1]
    assert dropped > 0
    assert feeder.captured_samples == 60 * RATE_HZ
    assert last.captured_samples + dropped <= feeder.captured_samples
    message = next(event.message for event in collector.events if event.kind == "ended")
    assert f" {dropped} lost in all" in message
    assert last.end_s * RATE_HZ <= feeder.captured_samples


def test_an_empty_ring_ends_only_when_it_is_closed():
    audio_queue = AudioQueue(1.0)
    read_end, write_end = os.pipe()
    source = PipeSource(read_end, RATE_HZ, 1, "s16le", audio_queue, lambda event: None)
    source.start()
    assert audio_queue.read(0.05) is None
    assert not audio_queue.is_ended
    os.write(write_end, b"\1\0" * 1000)
    blocks = [audio_queue.read(2.0), audio_queue.read(2.0)]  # the bytes that were looked at first, then the rest
    assert sum(len(block.samples) for block in blocks) == 1000
    os.close(write_end)
    deadline = time.monotonic() + 2
    while not audio_queue.is_ended:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    source.stop()
    os.close(read_end)
