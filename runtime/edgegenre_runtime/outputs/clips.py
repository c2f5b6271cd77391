"""``--save-clips``, off by default: the audio behind each change of genre, as WAV files on this device."""

from __future__ import annotations

import errno
import io
import os
import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.audio.sound_gate import NOT_GENRES
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.live.analyzer import LiveResult
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.live.events import Event

__all__ = ["ClipSaver"]

_MAX_FILES = 100
_OWN_NAME = re.compile(r"edgegenre_\d{8}T\d{6}Z_[^\W_](?:[\w-]*)\.wav")


class ClipSaver:
    """Holds the last seconds in memory, and writes them when the answer is another genre than before.

    Parameters
    ----------
    folder
        Where the files go, ``edgegenre_UTC-TIME_GENRE.wav``. Of files with such names the newest 100 stay; no other
        file is ever touched.
    seconds
        Length of a clip, at most.
    on_event
        Called with an event when writing fails, once until it works again.

    Raises
    ------
    UsageError
        If the folder cannot be made or written.
    """

    def __init__(self, folder: Path, seconds: float, on_event: Callable[[Event], None]) -> None:
        self._folder, self._seconds, self._on_event = folder, seconds, on_event
        self.name = f"clips in {folder}"
        self._blocks: deque[AudioBlock] = deque()
        self._label = ""
        self._is_failing = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise UsageError(f"--save-clips {folder} cannot be used ({(error.strerror or '').lower()})") from error

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
        label = "".join(c if c.isalnum() else "-" for c in result.label).lstrip("-") or "genre"
        try:
            self._write(self._folder / f"edgegenre_{stamp}_{label}.wav")
            self._is_failing = False
            self._remove_old()
        except (DataError, OSError, soundfile.LibsndfileError) as error:
            if not self._is_failing:
                self._is_failing = True
                self._on_event(Event("output", f"{self._folder}: no clip could be written ({str(error).rstrip('.')})"))

    def event(self, event: Event) -> None:
        """Events have no clip."""

    def close(self) -> None:
        """Nothing is left to write."""

    def _write(self, path: Path) -> None:
        """Write the blocks beside ``path``, then rename: a clip is whole or not there."""
        samples = np.concatenate([block.samples for block in self._blocks])
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, self._blocks[0].rate_hz, format="WAV", subtype="PCM_16")
        with written_beside(path) as file:
            file.write(buffer.getvalue())

    def _remove_old(self) -> None:
        own = sorted(path for path in self._folder.iterdir() if _OWN_NAME.fullmatch(path.name) and path.is_file())
        for path in own[:-_MAX_FILES]:
            path.unlink()


def _format(block: AudioBlock) -> tuple[int, int]:
    return block.rate_hz, block.samples.shape[1]
