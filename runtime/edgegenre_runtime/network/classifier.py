"""The classifier: a bundle's int8 network on the windows of its own front-end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.audio.sound_gate import NOISE, SILENCE, UNCERTAIN, uncertain_below
from edgegenre_runtime.errors import AudioError, BundleError, SpecError, UsageError
from edgegenre_runtime.frontend import Clip, Window
from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db
from edgegenre_runtime.signature import PublicKey

from .answer_gate import AnswerGate, read_detector
from .backends import load_backend
from .bundle import Bundle, read_bundle
from .bundle_names import default_bundle, find_bundle
from .head import HeadStream, read_head
from .personal.head import PersonalHead
from .personal.store import read_personal
from .quantization import dequantize
from .task import Answer, make_task
from .window_stream import StreamWindow, WindowStream

__all__ = ["SILENCE", "FilePrediction", "GenreClassifier", "Prediction", "default_bundle"]


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one window.

    Attributes
    ----------
    label
        The most probable class, or ``silence``, ``noise`` (no music) or ``uncertain``. Of a multi-label or hierarchical
        bundle all of the answer, as ``blues;rock`` or ``rock/punk``.
    probabilities
        Probability of every class by its name, in the bundle's order; of a hierarchy, of every node. Empty for silence
        and noise.
    start_s, end_s
        The audio it covers, in seconds from the start of the stream.
    dropped_samples
        Samples lost since the window before.
    mel_ms, network_ms
        Time spent in the front-end and in the network, in ms.
    is_repeated
        Whether the audio was shorter than a window and was repeated to fill it.
    embedding
        float32 [D], what the network's last dense layer took; None unless asked for, and for silence.
    labels
        The labels of a multi-label answer, the most probable first, or the nodes from the top level down; None where
        the bundle knows one label at a time.
    """

    label: str
    probabilities: Mapping[str, float]
    start_s: float
    end_s: float
    dropped_samples: int
    mel_ms: float
    network_ms: float
    is_repeated: bool = False
    embedding: npt.NDArray[np.float32] | None = dataclasses.field(default=None, compare=False)
    labels: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FilePrediction:
    """The answer for a whole clip: the mean over its windows that are music, or a head's after the last of them.

    Attributes
    ----------
    label, labels, probabilities
        As in :class:`Prediction`. It is silence or noise where more than half of the windows are, the more frequent of
        the two, and ``uncertain`` where the largest mean probability is below the bundle's ``uncertain_below``.
    windows
        The windows' predictions.
    warnings
        One sentence each on what was wrong with the source.
    """

    label: str
    probabilities: Mapping[str, float]
    windows: tuple[Prediction, ...]
    warnings: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None

    @property
    def top3(self) -> list[tuple[str, float]]:
        """The three most probable classes with their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:3]


class GenreClassifier:
    """A bundle loaded and ready.

    Parameters
    ----------
    bundle
        What :func:`read_bundle` returned.
    threads
        Threads of the network; the front-end runs in the caller's.
    personal
        Genres learned beside the bundle's (:func:`.personal.store.read_personal`); None for the bundle's alone.

    Attributes
    ----------
    backend
        The interpreter that runs the network.
    labels, task
        The bundle's classes, and behind them the learned ones; what they mean.
    head
        The bundle's head over windows; None if it has none, and a track's answer is the mean of its windows'.

    Raises
    ------
    BundleError
        If the network cannot be loaded, its input is not the front-end's window, or what says when there is no genre
        is damaged.
    UsageError
        If ``threads`` is not 1 to 64, or no interpreter is installed.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, personal: PersonalHead | None = None) -> None:
        if not 1 <= threads <= 64:
            raise UsageError(f"{threads} threads were given; allowed are 1 to 64")
        self.bundle = bundle
        self.personal = personal
        self.labels = bundle.labels if personal is None else (*bundle.labels, *personal.names)
        self.task = bundle.task if personal is None else make_task(bundle.task.kind, self.labels)
        self.tables = bundle.tables
        self.threads = threads
        self.backend = load_backend(bundle, threads)
        self.head = read_head(bundle)
        self._check_contract()
        if personal is not None and personal.statistics.center.size != self.backend.embedding_dims:
            raise BundleError(f"bundle {bundle.root}: its class statistics are not of its embedding: export again")
        self._detector, self._uncertain_below = read_detector(bundle), uncertain_below(bundle.manifest)
        WindowStream(self.tables)  # an implementation that is not there is reported now, not in the middle of a file

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        threads: int = 1,
        *,
        with_personal: bool = False,
        trust: Sequence[PublicKey] = (),
    ) -> GenreClassifier:
        """Load a bundle: a directory, a ``.zip``, an installed one by its name, or the default if none is given.

        ``with_personal``: answer with the genres that were learned beside it, too, if there are any. ``trust``: keys
        of which one must have signed it (:func:`edgegenre_runtime.signature.read_public_keys`).
        """
        bundle = read_bundle(find_bundle(path), trust)
        return cls(bundle, threads, read_personal(bundle) if with_personal else None)

    def _check_contract(self) -> None:
        spec, backend = self.tables.spec, self.backend
        scale, zero_point = backend.input_quantization
        is_window = (
            backend.input_shape == (spec.n_mels, spec.frames_per_window)
            and float(np.float32(scale)) == cell_scale_db(spec.top_db)
            and zero_point == CELL_ZERO_POINT
        )
        if not (is_window and backend.output_shape == (1, len(self.bundle.labels))):
            raise BundleError(
                f"{self.bundle.root}: the network's input or output is not what the front-end and labels say: "
                "export the bundle again"
            )
        if self.head is not None and self.head.head.config.embedding_size != backend.embedding_dims:
            raise BundleError(
                f"{self.bundle.root}: its head takes embeddings of {self.head.head.config.embedding_size} values, the "
                f"network gives {backend.embedding_dims}: export the bundle again"
            )

    def head_stream(self, memory_s: float | None = None) -> HeadStream | None:
        """Return the bundle's head at the beginning of a stream, None without one; see :class:`HeadStream`."""
        if self.head is None:
            return None
        return HeadStream(self.head, self.head.hop_frames * self.tables.spec.hop_samples / self.rate_hz, memory_s)

    def answer_along(
        self, head: HeadStream, cells: npt.NDArray[np.int8], end_s: float, *, is_repeated: bool = False
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run network and head on the next window of a stream; returns what :meth:`answer` does, of the stream so far.

        Parameters
        ----------
        head
            The stream's.
        cells
            The window, int8 [n_mels, frames_per_window].
        end_s, is_repeated
            As in :meth:`HeadStream.push`.
        """
        _, embedding = self.answer(cells)
        return self.task.probabilities(head.push(embedding, end_s, is_repeated=is_repeated)), embedding

    def outputs(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Run the network on int8 [n_mels, frames_per_window]; returns its output, int8 [n_classes] logits."""
        return self.backend.run(cells)

    def probabilities(self, cells: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """Run the network on one window's cells; returns float32 [n_classes], of :attr:`labels`."""
        if self.personal is not None:
            return self.answer(cells)[0]
        return self.task.probabilities(dequantize(self.outputs(cells), *self.backend.output_quantization))

    def answer(self, cells: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one window's cells; returns probabilities of :attr:`labels` and embedding float32 [D].

        Raises
        ------
        BundleError
            If the network gives no embedding.
        """
        self.require_embedding()
        logits, embedding = self.backend.run_both(cells)
        real = dequantize(logits, *self.backend.output_quantization)
        vector = dequantize(embedding, *self.backend.embedding_quantization)
        if self.personal is not None:
            real = np.concatenate((real, self.personal.logits(vector, real)))
        return self.task.probabilities(real), vector

    def require_embedding(self) -> None:
        """Raise :class:`BundleError` if the network gives no embedding."""
        if not self.backend.embedding_dims:
            raise BundleError(
                f"bundle {self.bundle.root} gives no embedding: it is older than embeddings, or its network does not "
                "end in a dense layer over one vector; export it anew with  edgegenre export --int8"
            )

    def embed(
        self, source: Path | str | npt.NDArray[np.int16] | Iterable[npt.NDArray[np.int16]]
    ) -> npt.NDArray[np.float32]:
        """Return the embedding of every window that is not silence; their mean over axis 0 is the track's.

        Parameters
        ----------
        source
            An audio file; or int16 mono PCM at :attr:`rate_hz`, as one array or as blocks of a stream.

        Returns
        -------
        ndarray
            float32 [n_windows, D].

        Raises
        ------
        BundleError
            If the network gives no embedding.
        AudioError
            If the file cannot be read, or the source is too short.
        """
        self.require_embedding()
        is_file = isinstance(source, (Path, str))
        blocks: Iterable[npt.NDArray[np.int16]]
        if isinstance(source, (Path, str)):
            blocks = file_blocks(Path(source), self.rate_hz)
        else:
            blocks = [source] if isinstance(source, np.ndarray) else source
        windows = self.summarize(self.stream(blocks, embeddings=True), str(source) if is_file else "clip").windows
        found = [window.embedding for window in windows if window.embedding is not None]
        return np.stack(found) if found else np.zeros((0, self.backend.embedding_dims), np.float32)

    def classify(self, window: Window) -> Prediction:
        """Classify one window; raises :class:`SpecError` if another front-end made it."""
        return self._classify(
            StreamWindow(window, 0.0, self.tables.spec.window_s, mel_ms=0.0), self.answer_gate(), self.head_stream()
        )

    def answer_gate(self) -> AnswerGate:
        """Return what says which windows of one source get a genre, at its start."""
        return AnswerGate(self._detector, self._uncertain_below, self.tables.spec)

    def _classify(
        self, item: StreamWindow, gate: AnswerGate, head: HeadStream | None, *, embeddings: bool = False
    ) -> Prediction:
        if item.window.spec_hash != self.tables.spec_hash:
            raise SpecError("this window was made by another front-end than the one the bundle was trained with")
        probabilities: dict[str, float] = {}
        answer, embedding = self.task.no_genre(SILENCE if item.window.is_silence else NOISE), None
        is_music = gate.hears_music(item.window, is_repeated=item.is_repeated)
        began = time.perf_counter()
        if is_music and head is not None:
            found, embedding = self.answer_along(head, item.window.cells, item.end_s, is_repeated=item.is_repeated)
        elif embeddings and not item.window.is_silence:
            found, embedding = self.answer(item.window.cells)
        elif is_music:
            found = self.probabilities(item.window.cells)
        if is_music:
            probabilities = self.task.named(found)
            answer = self._answer(probabilities, is_sure=gate.is_sure(found, item.end_s))
        return Prediction(
            label=answer.label,
            probabilities=probabilities,
            start_s=item.start_s,
            end_s=item.end_s,
            dropped_samples=0,
            mel_ms=item.mel_ms,
            network_ms=(time.perf_counter() - began) * 1e3,
            is_repeated=item.is_repeated,
            embedding=embedding if embeddings else None,
            labels=answer.labels,
        )

    def stream(
        self,
        blocks: Iterable[npt.NDArray[np.int16]],
        *,
        embeddings: bool = False,
        head: HeadStream | None = None,
    ) -> Iterator[Prediction]:
        """Classify int16 mono PCM at the spec's rate, block by block; memory stays flat.

        A stream shorter than a window is repeated to fill one; shorter than a frame gives nothing. With ``embeddings``
        every prediction holds its window's. Where the bundle has a head, an answer is that of the stream up to its
        window; ``head`` is the state to go on from, a new one if not given.
        """
        head = self.head_stream() if head is None else head
        windows, gate = WindowStream(self.tables), self.answer_gate()
        for block in blocks:
            for item in windows.push(block):
                yield self._classify(item, gate, head, embeddings=embeddings)
        last = windows.finish()
        if last is not None:
            yield self._classify(last, gate, head, embeddings=embeddings)

    def predict_clip(self, clip: Clip) -> FilePrediction:
        """Classify a clip; raises :class:`SpecError` for another sample rate, :class:`AudioError` if too short."""
        if clip.sample_rate_hz != self.tables.spec.sample_rate_hz:
            raise SpecError(f"a clip at {clip.sample_rate_hz} Hz was given; this bundle takes {self.rate_hz} Hz")
        return self.summarize(self.stream([clip.pcm]), "clip")

    def predict_file(self, path: Path | str) -> FilePrediction:
        """Classify an audio file of any rate and channel count; raises :class:`AudioError` if it cannot."""
        blocks = file_blocks(Path(path), self.rate_hz)
        answer = self.summarize(self.stream(blocks), str(path))
        return dataclasses.replace(answer, warnings=tuple(blocks.warnings))

    @property
    def rate_hz(self) -> int:
        """The sample rate that the front-end takes, in Hz."""
        return self.tables.spec.sample_rate_hz

    def summarize(self, predictions: Iterable[Prediction], name: str) -> FilePrediction:
        """Average the windows of a source, or take a head's last answer; raises :class:`AudioError` without any."""
        windows = tuple(predictions)
        if not windows:
            least_ms = self.tables.spec.n_fft / self.rate_hz * 1e3
            raise AudioError(f"{name}: too short to classify; at least {least_ms:.0f} ms of audio is needed")
        music = [window.probabilities for window in windows if window.probabilities]
        if self.head is not None:
            music = music[-1:]
        mean = {name: sum(p[name] for p in music) / len(music) for name in self.task.names} if music else {}
        gate = self.answer_gate()
        if (without := gate.without_music([window.label for window in windows])) is not None:
            return FilePrediction(without, {}, windows, labels=self.task.no_genre(without).labels)
        answer = self._answer(mean, is_sure=max(mean.values()) >= gate.uncertain_below)
        return FilePrediction(answer.label, mean, windows, labels=answer.labels)

    def _answer(self, named: Mapping[str, float], *, is_sure: bool) -> Answer:
        """Return the answer of a stretch of music; bundles of several labels have thresholds of their own."""
        return Answer(UNCERTAIN) if self.task.kind == "single" and not is_sure else self.task.answer(named)
