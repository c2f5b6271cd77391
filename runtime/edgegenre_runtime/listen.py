"""``edgegenre-run --mic`` and ``edgegenre-run - --every``: from the options to one run of the loop."""

from __future__ import annotations

import argparse
import contextlib
import queue
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock, AudioQueue
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.latency import Latency
from edgegenre_runtime.live.listen_loop import QUEUE_S, ListenOutcome, Source, listen
from edgegenre_runtime.live.output import Output
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.network.smoothing import DEFAULT_SMOOTH_S
from edgegenre_runtime.system.systemd_notify import Notifier

from .command_line import EXIT_LOST
from .errors import AudioError, MicrophoneError
from .outputs.text import print_message

__all__ = ["analyzer_of", "listen_command"]


def listen_command(classifier: GenreClassifier, options: argparse.Namespace, trouble: str = "") -> int:
    """Listen until a signal or the end of the pipe; returns the exit code.

    ``trouble``: what is wrong with the bundle, for who looks after the device.

    Raises
    ------
    EdgeGenreError
        If the options are wrong, or something that they need is missing.
    """
    analyzer, audio_queue, latency = analyzer_of(classifier, options), AudioQueue(QUEUE_S), Latency()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    source = _source(options, audio_queue, events.put)
    outputs: list[Output] = []
    on_block: Callable[[AudioBlock], None] | None = None
    with contextlib.ExitStack() as undo:
        for make in _outputs(options, events.put, latency, classifier, trouble):
            outputs.append(make())
            undo.callback(outputs[-1].close)
        if options.save_clips is not None:
            from edgegenre_runtime.outputs.clips import ClipSaver

            saver = ClipSaver(Path(options.save_clips), classifier.tables.spec.window_s, events.put)
            outputs.append(saver)
            on_block = saver.add_block
        undo.pop_all()
    can_skip = options.mic is not None  # a pipe waits instead
    notifier = Notifier()
    return _exit_code(
        listen(source, audio_queue, analyzer, outputs, latency, events, notifier, on_block=on_block, can_skip=can_skip),
        classifier,
    )


def _exit_code(outcome: ListenOutcome, classifier: GenreClassifier) -> int:
    """Return the exit code; raises what ended the source, or that nothing could be answered."""
    if outcome.by_signal:
        return 130 if outcome.by_signal == signal.SIGINT else 0
    if isinstance(outcome.error, MicrophoneError):
        print_message(str(outcome.error), sys.stderr)
        return EXIT_LOST
    if outcome.error is not None:
        raise outcome.error
    if not outcome.captured_samples:
        raise AudioError("standard input ended before any audio came")
    if not outcome.n_results:
        classifier.summarize((), "standard input")  # raises: too short
    return 0


def analyzer_of(classifier: GenreClassifier, options: argparse.Namespace) -> Analyzer:
    """Return the analyzer with the times asked for; raises :class:`UsageError` where they are not allowed."""
    every_s = 1.0 if options.every is None else options.every
    smooth_s = DEFAULT_SMOOTH_S if options.smooth is None else options.smooth
    return Analyzer(classifier, every_s, smooth_s, embeddings=options.embeddings)


def _source(options: argparse.Namespace, audio_queue: AudioQueue, on_event: Callable[[Event], None]) -> Source:
    if options.mic is None:
        from edgegenre_runtime.live.pipe_source import PipeSource

        return PipeSource(sys.stdin.fileno(), options.rate, options.channels, options.format, audio_queue, on_event)
    from edgegenre_runtime.live.microphone import refresh
    from edgegenre_runtime.live.microphone_source import MicrophoneSource

    refresh()  # a missing library fails now: waiting would not bring it
    return MicrophoneSource(options.mic, audio_queue, on_event, retry=not options.no_retry)


def _outputs(
    options: argparse.Namespace,
    on_event: Callable[[Event], None],
    latency: Latency,
    classifier: GenreClassifier,
    trouble: str,
) -> Iterator[Callable[[], Output]]:
    """Yield a function that makes each output asked for; modules of the others are never imported."""
    source = "-" if options.mic is None else options.mic or "microphone"
    if options.json:
        from edgegenre_runtime.outputs.text import JsonLines

        yield lambda: JsonLines(sys.stdout, sys.stderr, source)
    elif sys.stdout.isatty():
        from edgegenre_runtime.outputs.terminal import TerminalView

        yield lambda: TerminalView(sys.stdout, shutil.get_terminal_size().columns)
    else:
        from edgegenre_runtime.outputs.text import TextLines

        yield lambda: TextLines(sys.stdout, sys.stderr)
    if options.log is not None:
        from edgegenre_runtime.outputs.jsonl_log import RotatingLog

        yield lambda: RotatingLog(Path(options.log), source)
    if options.http is not None:
        from edgegenre_runtime.outputs.http_page import StatusPage

        yield lambda: StatusPage(options.http, source, latency, classifier.task.names)
    if options.mqtt is not None:
        from edgegenre_runtime.outputs.mqtt import MqttOutput
        from edgegenre_runtime.outputs.records import bundle_record

        bundle = bundle_record(classifier.bundle)
        yield lambda: MqttOutput(options.mqtt, source, on_event, options.mqtt_ca, bundle=bundle, trouble=trouble)
