"""From PCM that arrives in blocks to network windows: the mel frames are computed once, windows overlap."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .frontend import MelStream, Tables, UsageError, Window, normalise

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

    Raises
    ------
    UsageError
        If ``hop_frames`` is below 1.
    """

    def __init__(self, tables: Tables, hop_frames: int | None = None) -> None:
        self.tables = tables
        self.hop_frames = hop_frames if hop_frames is not None else max(tables.spec.frames_per_window // 2, 1)
        if self.hop_frames < 1:
            raise UsageError(f"a window hop of {self.hop_frames} frames was given; it must be at least 1")
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        self._mel = MelStream(self.tables)
        self._frames = np.empty((self.tables.spec.n_mels, 0), dtype=np.int16)
        self._first_frame = 0  # index in the stream of the first frame held; beyond it while frames are skipped
        self._next_start = 0  # first frame of the next window
        self._mel_ms = 0.0

    def push(self, pcm: npt.NDArray[np.int16]) -> Iterator[StreamWindow]:
        """Take int16 [n] and yield the windows that became complete."""
        width, block = self.tables.spec.frames_per_window, self.tables.spec.window_samples
        for at in range(0, len(pcm), block):  # a huge block must not cost huge memory
            began = time.perf_counter()
            self._append(self._mel.push(pcm[at : at + block]))
            self._mel_ms += (time.perf_counter() - began) * 1e3
            while self._next_start + width <= self._first_frame + self._frames.shape[1]:
                offset = self._next_start - self._first_frame
                yield self._window(self._frames[:, offset : offset + width], is_repeated=False)
                self._next_start += self.hop_frames
                self._drop_frames()

    def finish(self) -> StreamWindow | None:
        """End the stream: if no window ever became complete, return one of its frames repeated, else None."""
        n_frames = self._frames.shape[1]
        if self._next_start > 0 or n_frames == 0:
            return None
        repeats = -(-self.tables.spec.frames_per_window // n_frames)
        filled = np.tile(self._frames, (1, repeats))[:, : self.tables.spec.frames_per_window]
        return self._window(filled, is_repeated=True)

    def _append(self, frames: npt.NDArray[np.int16]) -> None:
        self._frames = np.concatenate((self._frames, frames), axis=1)
        self._drop_frames()

    def _drop_frames(self) -> None:
        dropped = min(self._next_start - self._first_frame, self._frames.shape[1])
        self._frames = self._frames[:, dropped:]
        self._first_frame += dropped

    def _window(self, frames_q9: npt.NDArray[np.int16], *, is_repeated: bool) -> StreamWindow:
        spec = self.tables.spec
        began = time.perf_counter()
        window = normalise(frames_q9, self.tables)
        mel_ms = self._mel_ms + (time.perf_counter() - began) * 1e3
        self._mel_ms = 0.0
        n_frames = self._frames.shape[1] if is_repeated else spec.frames_per_window
        start = self._next_start * spec.hop_samples
        end = start + (n_frames - 1) * spec.hop_samples + spec.n_fft
        return StreamWindow(window, start / spec.sample_rate_hz, end / spec.sample_rate_hz, mel_ms, is_repeated)
