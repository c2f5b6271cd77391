"""``--save-clips``, off by default: the audio behind each change of genre, as WAV files on this device."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from edgegenre_runtime.audio.sound_gate import NOT_GENRES
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.live.events import Event

__all__ = ["ClipSaver"]

_MAX_FILES = 100


class ClipSaver:
    """Keeps the last seconds in memory, and writes them when the answer is another genre than before.

    Parameters
    ----------
    folder
        Where the files go, ``UTC-time_GENRE.wav``; the newest 100 are kept.
    seconds
        Length of a clip, at most.
    on_event
        Called with an event when writing fails.

    Raises
    ------
    UsageError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path, seconds: float, on_event: Callable[[Event], None]) -> None:
        self._folder, self._seconds, self._on_event = folder, seconds, on_event
        self._blocks: deque[AudioBlock] = deque()
        self._label = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--save-clips {folder} cannot be made ({(error.strerror or '').lower()})") from error

    def add_block(self, block: AudioBlock) -> None:
        """Take a block of audio."""
        if block.lost_samples or (self._blocks and _format(block) != _format(self._blocks[0])):
            self._blocks.clear()
        self._blocks.append(block)
        while sum(len(held.samples) for held in self._blocks) > self._seconds * block.rate_hz and len(self._blocks) > 1:
            self._blocks.popleft()

    def result(self, result: LiveResult) -> None:
        """Take an answer; write a clip where the genre is a new one."""
        if result.label in (*NOT_GENRES, self._label) or not self._blocks:
            return
        self._label = result.label
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(result.unix_s))
        label = "".join(c if c.isalnum() else "-" for c in result.label)
        samples = np.concatenate([block.samples for block in self._blocks])
        try:
            soundfile.write(self._folder / f"{stamp}_{label}.wav", samples, self._blocks[0].rate_hz, subtype="PCM_16")
        except (OSError, soundfile.LibsndfileError) as error:
            self._on_event(Event("output", f"{self._folder}: no clip could be written ({str(error).rstrip('.')})"))
        for old in sorted(self._folder.glob("*Z_*.wav"))[:-_MAX_FILES]:
            with contextlib.suppress(OSError):
                old.unlink()

    def event(self, event: Event) -> None:
        """Events have no clip."""

    def close(self) -> None:
        """Nothing is left to write."""


def _format(block: AudioBlock) -> tuple[int, int]:
    return block.rate_hz, block.samples.shape[1]
