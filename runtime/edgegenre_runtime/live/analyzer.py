"""From captured blocks to answers: resampling, windows, network, smoothing and gates; every sample is accounted for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.resample import Resampler
from edgegenre_runtime.audio.sound_gate import NOISE, SILENCE, UNCERTAIN, LevelGate
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import Window
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.network.smoothing import DEFAULT_SMOOTH_S, Smoother
from edgegenre_runtime.network.task import Answer
from edgegenre_runtime.network.window_stream import StreamWindow, WindowStream

from .audio_queue import AudioBlock

__all__ = ["Analyzer", "LiveResult"]

_CLIPPED_SHARE = 0.01
_HEAD_MEMORY_S = 60.0
_MIN_EVERY_S, _MAX_EVERY_S, _MAX_SMOOTH_S = 0.1, 3600.0, 3600.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """An answer while listening.

    Attributes
    ----------
    label
        A genre, or ``silence``, ``noise`` or ``uncertain``; as in :class:`edgegenre_runtime.Prediction`.
    probabilities
        Smoothed probability of every class or node by its name; empty for silence and noise.
    start_s, end_s
        The audio that the network saw, in seconds of the source's time since the first sample; lost samples count.
    unix_s
        Time of the answer in seconds since 1970.
    rate_hz
        Rate of the source.
    captured_samples
        Samples of the source processed since the start.
    dropped_samples
        Samples of the source lost since the answer before.
    skipped_windows
        Windows left out since the answer before, because the processing was behind.
    level_dbfs
        Loudest level since the answer before (RMS of a block, relative to a full-scale square wave).
    is_repeated
        Whether less than a window was there, and was repeated to fill it.
    capture_ms, mel_ms, network_ms
        Time from the arrival of the last sample to the start of the processing, in the front-end and in the network.
    cells
        The network's input, int8 [n_mels, frames_per_window].
    embedding
        Of this window alone, float32 [D]; None unless asked for, and for silence and noise.
    labels
        As in :class:`edgegenre_runtime.Prediction`.
    """

    label: str
    probabilities: Mapping[str, float]
    start_s: float
    end_s: float
    unix_s: float
    rate_hz: int
    captured_samples: int
    dropped_samples: int
    skipped_windows: int
    level_dbfs: float
    is_repeated: bool
    capture_ms: float
    mel_ms: float
    network_ms: float
    cells: npt.NDArray[np.int8]
    embedding: npt.NDArray[np.float32] | None = None
    labels: tuple[str, ...] | None = None


class Analyzer:
    """The processing of a live stream; memory is one window of frames, whatever comes.

    After lost samples or at another rate the window starts anew, so that none holds a gap; its first answers are of
    what is there, repeated to fill it.

    Parameters
    ----------
    classifier
        The bundle.
    every_s
        Seconds from one answer to the next, 0.1 to 3600; rounded to whole frames of the front-end.
    smooth_s
        Time constant of the smoothing in seconds, 0 (none) to 3600.
    embeddings
        Whether the results hold the windows' embeddings.

    Raises
    ------
    UsageError
        If one of these is outside what is allowed.
    """

    def __init__(
        self,
        classifier: GenreClassifier,
        every_s: float = 1.0,
        smooth_s: float = DEFAULT_SMOOTH_S,
        *,
        embeddings: bool = False,
    ) -> None:
        if not _MIN_EVERY_S <= every_s <= _MAX_EVERY_S:
            raise UsageError(f"--every {every_s:g} s was given; allowed are {_MIN_EVERY_S:g} to {_MAX_EVERY_S:g}")
        if not 0 <= smooth_s <= _MAX_SMOOTH_S:
            raise UsageError(f"--smooth {smooth_s:g} s was given; allowed are 0 to {_MAX_SMOOTH_S:g}")
        self._classifier, self._spec, self._embeddings = classifier, classifier.tables.spec, embeddings
        self._answers = classifier.answer_gate()
        hop = max(round(every_s * self._spec.sample_rate_hz / self._spec.hop_samples), 1)
        self.every_s = hop * self._spec.hop_samples / self._spec.sample_rate_hz
        self._windows = WindowStream(classifier.tables, hop, max(self._spec.frames_per_window // 8, 1))
        self._head = classifier.head_stream(_HEAD_MEMORY_S)
        self._smoother = Smoother(smooth_s)
        self._resampler: Resampler | None = None
        self._format = (0, 0)  # rate in Hz and channels of the block before
        self._origin_s = 0.0  # source's time at which the present run of unbroken samples began
        self._run_samples = 0  # of the source, in the present run
        self._captured = self._dropped = self._skipped = 0
        self._level_dbfs = -120.0
        self.gate = LevelGate()
        self.bad_samples = 0
        self._new_warnings: list[str] = []
        self._warned_of_bad = self._warned_of_level = False

    def process(self, block: AudioBlock, backlog_s: float = 0.0) -> Iterator[LiveResult]:
        """Process a block and yield the answers that became due.

        Parameters
        ----------
        block
            From the queue.
        backlog_s
            Audio that waits behind it. Where that is more than the time between answers, the processing is too slow for
            the source: the network is not run, and the next answer says so.
        """
        began_s = time.monotonic()
        pcm = self._resample(block)
        block_dbfs = self.gate.push(pcm, self._spec.sample_rate_hz)
        self._level_dbfs = max(self._level_dbfs, block_dbfs)
        for item in self._windows.push(pcm):
            if backlog_s > self.every_s:
                self._skipped += 1
                continue
            yield self._result_of(item, block, (began_s - block.arrived_s) * 1e3)
            self._level_dbfs = block_dbfs  # the next answer's audio begins in this block

    def finish(self) -> Iterator[LiveResult]:
        """End the stream; yields the answer to one that was too short for any, if there is a frame of it."""
        if self._resampler is None:
            return
        block = AudioBlock(np.zeros((0, self._format[1]), np.float32), self._format[0], 0, time.monotonic())
        for item in (*self._windows.push(self._resampler.flush()), self._windows.finish()):
            if item is not None:
                yield self._result_of(item, block, 0.0)

    def _resample(self, block: AudioBlock) -> npt.NDArray[np.int16]:
        """Return int16 [m] at the front-end's rate, starting anew after a gap or at another rate."""
        n_samples, channels = block.samples.shape
        if self._resampler is None or block.lost_samples or self._format != (block.rate_hz, channels):
            self._origin_s += self._run_samples / max(self._format[0], 1) + block.lost_samples / block.rate_hz
            self._run_samples, self._format = 0, (block.rate_hz, channels)
            self._resampler = Resampler(block.rate_hz, channels, self._spec.sample_rate_hz)
            self._windows.reset()
        bad_before = self._resampler.bad_samples
        pcm = self._resampler.push(block.samples)
        self.bad_samples += self._resampler.bad_samples - bad_before
        self._check_samples(self._resampler)
        self._run_samples += n_samples
        self._captured += n_samples
        self._dropped += block.lost_samples
        return pcm

    def take_warnings(self) -> list[str]:
        """Return one sentence on each kind of unusual samples, once, when they first come."""
        new, self._new_warnings = self._new_warnings, []
        return new

    def _check_samples(self, resampler: Resampler) -> None:
        if self.bad_samples and not self._warned_of_bad:
            self._warned_of_bad = True
            self._new_warnings.append("samples are NaN or infinite and count as 0")
        is_measured = resampler.n_samples >= self._spec.sample_rate_hz
        if (
            is_measured
            and resampler.clipped_samples > _CLIPPED_SHARE * resampler.n_samples
            and not self._warned_of_level
        ):
            self._warned_of_level = True
            share = resampler.clipped_samples / resampler.n_samples
            self._new_warnings.append(
                f"{share:.1%} of the samples are above full scale and are clipped: lower the level"
            )

    def _result_of(self, item: StreamWindow, block: AudioBlock, capture_ms: float) -> LiveResult:
        began = time.perf_counter()
        end_s = self._origin_s + item.end_s
        answer, probabilities, embedding = self._answer_of(item.window, end_s, is_repeated=item.is_repeated)
        result = LiveResult(
            label=answer.label,
            probabilities=probabilities,
            start_s=self._origin_s + item.start_s,
            end_s=end_s,
            unix_s=time.time(),
            rate_hz=block.rate_hz,
            captured_samples=self._captured,
            dropped_samples=self._dropped,
            skipped_windows=self._skipped,
            level_dbfs=self._level_dbfs,
            is_repeated=item.is_repeated,
            capture_ms=capture_ms,
            mel_ms=item.mel_ms,
            network_ms=(time.perf_counter() - began) * 1e3,
            cells=item.window.cells,
            embedding=embedding,
            labels=answer.labels,
        )
        self._dropped = self._skipped = 0
        return result

    def _answer_of(
        self, window: Window, end_s: float, *, is_repeated: bool
    ) -> tuple[Answer, dict[str, float], npt.NDArray[np.float32] | None]:
        """Return the answer, and where there is music the smoothed probabilities, and the embedding if asked for."""
        task = self._classifier.task
        if window.is_silence or self.gate.is_quiet:
            self._reset_smoothing()
            return task.no_genre(SILENCE), {}, None
        if not self._answers.hears_music(window, is_repeated=is_repeated):
            self._reset_smoothing()
            return task.no_genre(NOISE), {}, None
        if is_repeated:  # holds all that came before it, more of which is no mean of it
            self._reset_smoothing()
        embedding = None
        if self._head is not None:
            probabilities, embedding = self._classifier.answer_along(
                self._head, window.cells, end_s, is_repeated=is_repeated
            )
        elif self._embeddings:
            probabilities, embedding = self._classifier.answer(window.cells)
        else:
            probabilities = self._classifier.probabilities(window.cells)
        mean = self._smoother.push(probabilities, end_s)
        asked_for = embedding if self._embeddings else None
        is_sure = self._answers.is_sure(probabilities, end_s)
        named = task.named(mean)
        if task.kind == "single" and not is_sure:  # the others have thresholds of their own
            return Answer(UNCERTAIN), named, asked_for
        return task.answer(named), named, asked_for

    def _reset_smoothing(self) -> None:
        self._smoother.reset()
        self._answers.reset()
        if self._head is not None:
            self._head.reset()
