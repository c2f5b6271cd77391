"""From PCM that arrives in blocks to network windows: the mel frames are computed once, windows overlap."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import MelStream, Tables, Window, normalize

__all__ = ["StreamWindow", "WindowStream"]


@dataclasses.dataclass(frozen=True, slots=True)
class StreamWindow:
    """A network window and where it lies in the stream.

    Attributes
    ----------
    window
        The network's input.
    start_s, end_s
        The audio it covers, in seconds from the start of the stream.
    mel_ms
        Time spent in the front-end since the window before, in ms.
    is_repeated
        Whether the audio was shorter than a window and its frames were repeated to fill it.
    """

    window: Window
    start_s: float
    end_s: float
    mel_ms: float
    is_repeated: bool = False


class WindowStream:
    """Windows of a stream of PCM; memory stays at one window of frames plus one block.

    Parameters
    ----------
    tables
        The front-end.
    hop_frames
        Frames from one window to the next; half a window by default.
    first_frames
        Frames after which the first window is given; a whole window by default. Until a whole one is there, the
        frames there are repeated to fill it.

    Raises
    ------
    UsageError
        If ``hop_frames`` is below 1, or ``first_frames`` not from 1 to a window.
    """

    def __init__(self, tables: Tables, hop_frames: int | None = None, first_frames: int | None = None) -> None:
        width = tables.spec.frames_per_window
        self.tables = tables
        self.hop_frames = hop_frames if hop_frames is not None else max(width // 2, 1)
        self.first_frames = first_frames if first_frames is not None else width
        if self.hop_frames < 1:
            raise UsageError(f"a window hop of {self.hop_frames} frames was given; it must be at least 1")
        if not 1 <= self.first_frames <= width:
            raise UsageError(f"a first window of {self.first_frames} frames was given; allowed are 1 to {width}")
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        self._mel = MelStream(self.tables)
        self._frames = np.empty((self.tables.spec.n_mels, 0), dtype=np.int16)
        self._first_frame = 0  # index in the stream of the first frame held; beyond it while frames are skipped
        self._next_end = self.first_frames  # frame after the last one of the next window
        self._is_empty = True  # no window yet
        self._mel_ms = 0.0

    def push(self, pcm: npt.NDArray[np.int16]) -> Iterator[StreamWindow]:
        """Take int16 [n] and yield the windows that became complete."""
        width, block = self.tables.spec.frames_per_window, self.tables.spec.window_samples
        for at in range(0, len(pcm), block):  # a huge block must not cost huge memory
            began = time.perf_counter()
            self._append(self._mel.push(pcm[at : at + block]))
            self._mel_ms += (time.perf_counter() - began) * 1e3
            while self._next_end <= self._first_frame + self._frames.shape[1]:
                stop = self._next_end - self._first_frame
                yield self._window(self._frames[:, max(stop - width, 0) : stop])
                # the first whole window begins with the stream's first frame
                self._next_end += self.hop_frames if self._next_end >= width else self._step_to(width)
                self._drop_frames()

    def finish(self) -> StreamWindow | None:
        """End the stream: if no window was ever given, return one of its frames repeated, else None."""
        if not self._is_empty or self._frames.shape[1] == 0:
            return None
        self._next_end = self._frames.shape[1]
        return self._window(self._frames)

    def _step_to(self, width: int) -> int:
        return min(self.hop_frames, width - self._next_end)

    def _append(self, frames: npt.NDArray[np.int16]) -> None:
        self._frames = np.concatenate((self._frames, frames), axis=1)
        self._drop_frames()

    def _drop_frames(self) -> None:
        start = max(self._next_end - self.tables.spec.frames_per_window, 0)
        dropped = min(start - self._first_frame, self._frames.shape[1])
        self._frames = self._frames[:, dropped:]
        self._first_frame += dropped

    def _window(self, frames_q9: npt.NDArray[np.int16]) -> StreamWindow:
        """Return the window of int16 [n_mels, n], n at most its width, that ends before frame ``_next_end``."""
        spec, n_frames = self.tables.spec, frames_q9.shape[1]
        began = time.perf_counter()
        is_repeated = n_frames < spec.frames_per_window
        if is_repeated:
            frames_q9 = np.tile(frames_q9, (1, -(-spec.frames_per_window // n_frames)))[:, : spec.frames_per_window]
        window = normalize(frames_q9, self.tables)
        mel_ms = self._mel_ms + (time.perf_counter() - began) * 1e3
        self._mel_ms, self._is_empty = 0.0, False
        start = (self._next_end - n_frames) * spec.hop_samples
        end = (self._next_end - 1) * spec.hop_samples + spec.n_fft
        return StreamWindow(window, start / spec.sample_rate_hz, end / spec.sample_rate_hz, mel_ms, is_repeated)
