"""A calm picture on a terminal: genre bars, level, the last seconds' mel spectrogram, what was lost."""

from __future__ import annotations

from typing import TextIO

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.network.task import answer_text
from edgegenre_runtime.printable import printable

from .line_writer import stream_writer

__all__ = ["TerminalView"]

_BAR, _MEL_ROWS, _MEL_COLUMNS, _GENRES = 30, 8, 48, 5
_SHADES = " ·:-=+*#%@"
_HIDE, _SHOW, _CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[K"


class TerminalView:
    """Redraws the same lines in place, once per answer.

    Parameters
    ----------
    stream
        The terminal.
    width
        Its columns; longer lines are cut.
    """

    name = "terminal"

    def __init__(self, stream: TextIO, width: int) -> None:
        self._writer, self._width = stream_writer(stream), max(width - 1, 20)
        self._message = "waiting for sound"
        self._dropped = self._skipped = 0
        self._lines: list[str] = []
        self._n_drawn = 0
        self._draw()

    def result(self, result: LiveResult) -> None:
        """Show an answer."""
        self._dropped += result.dropped_samples
        self._skipped += result.skipped_windows
        text = answer_text(result.label, result.labels)
        self._lines = [
            f"{text.upper():<16} level {_bar((result.level_dbfs + 60) / 60)} {result.level_dbfs:4.0f} dBFS",
            "",
            *_genre_bars(result),
            "",
            *mel_picture(result.cells),
            f"{result.end_s:.0f} s of audio, {self._dropped} samples lost, {self._skipped} windows skipped",
        ]
        self._draw()

    def event(self, event: Event) -> None:
        """Show an event in the last line."""
        self._message = event.message
        self._draw()

    def close(self) -> None:
        """Leave the last picture, and the cursor as it was."""
        self._writer.write(_SHOW)

    def _draw(self) -> None:
        lines = [*self._lines, self._message]
        up = f"\x1b[{self._n_drawn}A" if self._n_drawn else ""
        shown = "".join(f"\r{printable(line)[: self._width]}{_CLEAR_LINE}\n" for line in lines)
        self._writer.write(_HIDE + up + shown)
        self._n_drawn = len(lines)


def mel_picture(cells: npt.NDArray[np.int8]) -> list[str]:
    """Return the newest part of int8 [n_mels, frames] as lines of text, low bands below."""
    M, T = cells.shape
    rows = np.array_split(np.arange(M)[::-1], min(_MEL_ROWS, M))
    columns = np.array_split(np.arange(T), min(_MEL_COLUMNS, T))
    levels = cells.astype(np.int32) + 128
    return [
        "  " + "".join(_SHADES[int(levels[np.ix_(row, column)].mean()) * len(_SHADES) // 256] for column in columns)
        for row in rows
    ]


def _genre_bars(result: LiveResult) -> list[str]:
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])[:_GENRES]
    lines = [f"  {label[:14]:<14} {_bar(p)} {p:4.2f}" for label, p in ranked]
    return lines + [""] * (_GENRES - len(lines))


def _bar(part: float) -> str:
    full = round(min(max(part, 0.0), 1.0) * _BAR)
    return "█" * full + "·" * (_BAR - full)
