"""``edgegenre-run FILE …``: one line per file, or one JSON line per window; an input that fails stops no other."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import audio_files, file_blocks
from edgegenre_runtime.audio.pcm_blocks import PcmBlocks
from edgegenre_runtime.audio.raw_pcm import raw_blocks
from edgegenre_runtime.network.classifier import FilePrediction, GenreClassifier, Prediction
from edgegenre_runtime.network.head import HeadStream
from edgegenre_runtime.network.task import answer_text

from .command_line import PIPE
from .errors import AudioError, EdgeGenreError, OutputError
from .live.events import Event
from .outputs.line_writer import stream_writer
from .outputs.records import event_record, json_line, prediction_record
from .outputs.text import print_message
from .printable import printable

__all__ = ["classify_command"]


def classify_command(classifier: GenreClassifier, options: argparse.Namespace) -> int:
    """Classify every input; returns the exit code: 0, or 2 if one of them failed.

    Raises
    ------
    OutputError
        If standard output cannot be written.
    """
    report, state = _Report(is_json=options.json), _open_state(classifier, options)
    n_failed = 0
    for name in options.inputs:
        closed: list[AudioError] = []
        try:
            files = _files_of(name, closed.append)
        except (EdgeGenreError, OSError) as error:
            n_failed += report.failure(name, error)
            continue
        n_failed += sum(report.failure(name, error) for error in closed)
        for file in files:
            try:
                _classify(classifier, file, options, report, state)
            except OutputError:
                raise
            except Exception as error:
                if options.debug:
                    raise
                n_failed += report.failure(file, error)
    return 2 if n_failed else 0


def _files_of(name: str, on_error: Callable[[AudioError], None]) -> Sequence[str]:
    """Return the audio files of a folder; a name that is not there stays, so that it is reported in its turn."""
    return [str(path) for path in audio_files([name], on_error)] if name != PIPE and os.path.isdir(name) else [name]


def _open_state(classifier: GenreClassifier, options: argparse.Namespace) -> HeadStream | None:
    """Return the stream that ``--state`` continues; raises :class:`DataError` if its file is not a state of it."""
    stream = None if options.state is None else classifier.head_stream()
    if stream is not None and os.path.exists(options.state):
        stream.load(Path(options.state))
    return stream


def _classify(
    classifier: GenreClassifier,
    name: str,
    options: argparse.Namespace,
    report: _Report,
    state: HeadStream | None,
) -> None:
    """Report the answers to an input; a state goes on, and to its file, only if the whole input could be read."""
    trial = None if state is None else state.copy()
    blocks: PcmBlocks
    if name == PIPE:
        raw = options.rate, options.channels, options.format
        blocks = raw_blocks(sys.stdin.buffer, *raw, out_rate_hz=classifier.rate_hz)
    else:
        blocks = file_blocks(Path(name), classifier.rate_hz)
    counted = _Counted(blocks)
    predictions = _with_progress(name, classifier.stream(counted, embeddings=options.embeddings, head=trial))
    if options.json:
        n_windows = 0
        for n_windows, prediction in enumerate(predictions, 1):  # noqa: B007  # used below
            report.write(json_line(prediction_record(prediction, name)))
        if not n_windows:
            classifier.summarize((), name)  # raises: too short
    else:
        answer = classifier.summarize(predictions, name)
        report.write(printable(_text_line(name, answer, counted.n_samples / classifier.rate_hz)) + "\n")
    if state is not None and trial is not None:
        trial.save(Path(options.state))
        state.continue_from(trial)
    for warning in blocks.warnings:
        report.event(name, "warning", f"{name}: {warning}")


class _Report:
    """Lines on standard output, messages on standard error, and with ``--json`` these as events too."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._lines = stream_writer(sys.stdout, "utf-8" if is_json else None)

    def write(self, line: str) -> None:
        try:
            self._lines.write(line)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"standard output cannot be written ({reason})") from error

    def event(self, name: str, kind: str, message: str) -> None:
        print_message(message, sys.stderr)
        if self._is_json:
            self.write(json_line(event_record(Event(kind, message), name)))

    def failure(self, name: str, error: Exception) -> int:
        """Report an input that failed; returns 1."""
        if isinstance(error, EdgeGenreError):
            message = str(error)
        elif isinstance(error, OSError):
            message = f"{name}: {(error.strerror or str(error)).lower()}"
        else:
            message = f"{name}: unexpected {type(error).__name__}: {error}; run it with --debug for a traceback"
        self.event(name, "error", message)
        return 1


class _Counted(Iterator["npt.NDArray[np.int16]"]):
    """Blocks, whose samples are counted on the way."""

    def __init__(self, blocks: PcmBlocks) -> None:
        self._blocks = blocks
        self.n_samples = 0

    def __next__(self) -> npt.NDArray[np.int16]:
        block = next(self._blocks)
        self.n_samples += len(block)
        return block


def _with_progress(name: str, predictions: Iterator[Prediction]) -> Iterator[Prediction]:
    """Show on a terminal how far a long source has come; pass everything on."""
    is_terminal = sys.stderr.isatty()
    for prediction in predictions:
        if is_terminal:
            minutes, seconds = divmod(int(prediction.end_s), 60)
            shown = printable(f"{name}  {minutes}:{seconds:02d}  {answer_text(prediction.label, prediction.labels)}")
            _show(shown)
        yield prediction
    if is_terminal:
        _show("")


def _show(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _text_line(name: str, answer: FilePrediction, duration_s: float) -> str:
    windows = answer.windows
    n = len(windows)
    mel_ms = sum(window.mel_ms for window in windows) / n
    network_ms = sum(window.network_ms for window in windows) / n
    ranked = "  ".join(f"{label} {probability:.2f}" for label, probability in answer.top3)
    parts = [f"{n} window{'s' * (n > 1)}", f"{windows[0].start_s:.1f}-{windows[-1].end_s:.1f} s of {duration_s:.1f} s"]
    parts += ["repeated to fill a window"] * windows[0].is_repeated
    parts += [f"mel {mel_ms:.1f} ms + network {network_ms:.1f} ms each"]
    text = answer_text(answer.label, answer.labels)
    return f"{name}: {text}" + (f"  [{ranked}]" if ranked else "") + f"  ({', '.join(parts)})"
