"""``edgegenre-run --learn NAME FILE…``, ``--forget NAME`` and ``--list``: genres of the user's own, without torch."""

from __future__ import annotations

import argparse
import contextlib
import queue
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import audio_files, file_blocks
from edgegenre_runtime.audio.resample import Resampler
from edgegenre_runtime.live.audio_queue import AudioQueue
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.network.personal.class_statistics import read_statistics
from edgegenre_runtime.network.personal.head import PersonalClass, PersonalHead, learn_class
from edgegenre_runtime.network.personal.store import check_name, personal_path, write_classes
from edgegenre_runtime.network.window_stream import WindowStream

from .errors import AudioError, MicrophoneError, UsageError
from .outputs.records import utc
from .outputs.text import print_message

__all__ = ["MICROPHONE_S", "forget_command", "learn_command", "list_command", "usable_embeddings"]

MICROPHONE_S = 30.0
"""Seconds that ``--learn NAME --mic`` listens."""

_MIN_WINDOWS = 3
_QUEUE_S = 8.0
_PATIENCE_S = 5.0

_Floats = npt.NDArray[np.float32]


def learn_command(classifier: GenreClassifier, options: argparse.Namespace) -> list[str]:
    """Learn a genre from the files or the microphone; returns what to print.

    Raises
    ------
    EdgeGenreError
        If the name is taken, an example cannot be read or used, or the file cannot be written: nothing has changed.
    """
    name, bundle = options.learn, classifier.bundle
    if bundle.task.kind != "single":
        raise UsageError(
            f"bundle {bundle.root} gives several labels at once; genres are learned beside single ones alone"
        )
    statistics = read_statistics(bundle)
    check_name(name, classifier.labels)
    classifier.require_embedding()
    tracks = list(_tracks(classifier, options))
    n_windows = sum(map(len, tracks))
    if n_windows < _MIN_WINDOWS:
        window_s = classifier.tables.spec.window_s
        raise AudioError(
            f"{n_windows} window{'s' * (n_windows != 1)} of music to learn from; at least {_MIN_WINDOWS} are needed, "
            f"{(_MIN_WINDOWS + 1) / 2 * window_s:.0f} s of it: give more or longer examples, five tracks are better"
        )
    learned = learn_class(name, tracks, statistics, utc(time.time()))
    known = () if classifier.personal is None else classifier.personal.classes
    path = write_classes(bundle, (*known, learned))
    share = _own_share(classifier, PersonalHead(statistics, (*known, learned)), tracks)
    if len(tracks) == 1:
        print_message(f"{name} was learned from one track alone: five of different artists are better", sys.stderr)
    if share < 0.5:
        print_message(
            f"only {share:.0%} of the examples' windows are nearer to {name} than to another class: it is close to "
            "one, or the examples are unlike each other",
            sys.stderr,
        )
    return [
        f"learned {name} from {_counted(learned)}; {share:.0%} of their windows are nearer to it than to another class",
        f"kept in {path}",
    ]


def forget_command(classifier: GenreClassifier, name: str) -> list[str]:
    """Forget a learned genre; returns what to print; raises :class:`UsageError` if it was not learned."""
    known = () if classifier.personal is None else classifier.personal.classes
    left = [one for one in known if one.name != name]
    if len(left) == len(known):
        there = ", ".join(one.name for one in known)
        raise UsageError(
            f"{name} was not learned here; "
            + (f"learned were: {there}" if there else "nothing was learned for this bundle")
        )
    path = write_classes(classifier.bundle, left)
    return [f"forgot {name}; {path} {'holds ' + str(len(left)) + ' more' if left else 'is deleted'}"]


def list_command(classifier: GenreClassifier) -> list[str]:
    """Return one line for each learned genre."""
    if classifier.personal is None:
        return ["nothing was learned for this bundle"]
    lines = [f"{one.name}  (from {_counted(one)}, {one.learned_at})" for one in classifier.personal.classes]
    return [*lines, f"kept in {personal_path(classifier.bundle)}"]


def usable_embeddings(classifier: GenreClassifier, blocks: Iterable[npt.NDArray[np.int16]]) -> _Floats:
    """Return the embeddings float32 [n, D] of a source's windows that are music: neither silence nor noise."""
    windows, gate = WindowStream(classifier.tables), classifier.answer_gate()
    found: list[_Floats] = []
    for block in blocks:
        music = (one for one in windows.push(block) if gate.hears_music(one.window, is_repeated=one.is_repeated))
        found.extend(classifier.answer(one.window.cells)[1] for one in music)
    return np.stack(found) if found else np.zeros((0, classifier.backend.embedding_dims), np.float32)


def _tracks(classifier: GenreClassifier, options: argparse.Namespace) -> Iterator[_Floats]:
    """Yield the embeddings of each track; raises :class:`AudioError` for one that is no music."""
    if options.mic is not None:
        with contextlib.closing(_microphone_blocks(options.mic, classifier.rate_hz)) as heard:
            yield _music(classifier, heard, "the microphone")
        return
    closed: list[AudioError] = []
    files = [file for name in options.inputs for file in audio_files([name], closed.append)]
    if closed:
        raise closed[0]
    seen: set[str] = set()
    for file in map(str, files):
        if file in seen:
            raise UsageError(f"{file} is given twice: an example counts once")
        seen.add(file)
        yield _music(classifier, file_blocks(Path(file), classifier.rate_hz), file)


def _music(classifier: GenreClassifier, blocks: Iterable[npt.NDArray[np.int16]], name: str) -> _Floats:
    vectors = usable_embeddings(classifier, blocks)
    if not len(vectors):
        window_s = classifier.tables.spec.window_s
        raise AudioError(f"{name}: nothing to learn from: silence, noise, or shorter than {window_s:.1f} s")
    return vectors


def _microphone_blocks(name: str, rate_hz: int) -> Generator[npt.NDArray[np.int16], None, None]:
    """Yield what a microphone hears in 30 s as int16 at ``rate_hz``."""
    from edgegenre_runtime.live.microphone import refresh
    from edgegenre_runtime.live.microphone_source import MicrophoneSource

    refresh()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    heard = AudioQueue(_QUEUE_S)
    source = MicrophoneSource(name, heard, events.put, retry=False)
    source.start()
    resampler, seconds = None, 0.0
    try:
        while seconds < MICROPHONE_S:
            block = heard.read(_PATIENCE_S)
            if block is None or block.lost_samples:
                raise MicrophoneError(f"the microphone was gone after {seconds:.0f} s: nothing was learned")
            if resampler is None:
                print_message(f"listening for {MICROPHONE_S:.0f} s", sys.stderr)
                resampler = Resampler(block.rate_hz, block.samples.shape[1], rate_hz)
            seconds += len(block.samples) / block.rate_hz
            yield resampler.push(block.samples)
    finally:
        source.stop()


def _own_share(classifier: GenreClassifier, head: PersonalHead, tracks: Sequence[_Floats]) -> float:
    """Return the share of windows of the newest class that lie nearer to it than to every other class."""
    directions = np.concatenate([head.statistics.directions(vectors) for vectors in tracks])
    means = np.concatenate((head.statistics.means, np.stack([known.mean for known in head.classes])))
    return float(((directions @ means.T).argmax(axis=1) == len(means) - 1).mean())


def _counted(known: PersonalClass) -> str:
    return f"{known.n_tracks} track{'s' * (known.n_tracks != 1)} ({known.n_windows} windows)"
