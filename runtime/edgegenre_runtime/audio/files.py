"""Audio files, read block by block in flat memory."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import AudioError, EdgeGenreError, install_command

from .excerpts import Excerpts, excerpt_pcm, lead_frames
from .media import MEDIA_EXTENSIONS, MediaFile, has_media, open_media
from .pcm_blocks import PcmBlocks
from .resample import Resampler
from .sound_file import SoundFile, open_sound

__all__ = ["EXTENSIONS", "FileExcerpts", "audio_files", "file_blocks", "file_excerpts", "open_audio"]

_SOUND_EXTENSIONS = (
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav",
)  # fmt: skip
_WORTHWHILE = 1.5  # below so many times the stretches' length, all of a file is read

EXTENSIONS = tuple(sorted((*_SOUND_EXTENSIONS, *MEDIA_EXTENSIONS)))
"""What is looked for in folders; the decoder then goes by the content."""


def file_blocks(path: Path | str, out_rate_hz: int) -> PcmBlocks:
    """Open an audio file and return its int16 mono blocks at ``out_rate_hz``.

    Parameters
    ----------
    path
        A file with one of :data:`EXTENSIONS`; any rate from 1 kHz to 768 kHz, any width, up to 64 channels.
    out_rate_hz
        Rate of the blocks in Hz.

    Returns
    -------
    PcmBlocks
        Blocks of at most about 131072 input samples; a truncated file gives what is there, then a warning.

    Raises
    ------
    AudioError
        Missing file, unknown extension, empty, not audio, a rate or channel count that cannot be resampled,
        or not a single sample (this one possibly when the first block is drawn).
    """
    sound = open_audio(path)
    try:
        resampler = Resampler(sound.rate_hz, sound.channels, out_rate_hz)
    except EdgeGenreError as error:
        sound.close()
        raise AudioError(f"{path}: {error}") from error
    return PcmBlocks(str(path), sound.frames(), resampler, sound.findings.damages, sound.findings.notes)


class FileExcerpts:
    """Stretches spread over an audio file, which is open until :meth:`close`.

    Attributes
    ----------
    duration_s
        Of the whole file.
    warnings
        What its structure says against it.
    """

    def __init__(
        self, path: Path | str, sound: SoundFile | MediaFile, found: Excerpts, n_frames: int, out: tuple[int, int]
    ) -> None:
        self.duration_s = found.n_frames / sound.rate_hz
        self.warnings = sound.damages
        self._path, self._sound, self._found, self._n_frames, self._out = path, sound, found, n_frames, out

    def pcm(self) -> Iterator[npt.NDArray[np.int16]]:
        """Yield int16 [n_samples], mono; raises :class:`AudioError` where the file is damaged."""
        try:
            for block in self._found.blocks:
                if len(block) < self._n_frames:
                    raise AudioError("truncated: a stretch of it is not there")
                yield excerpt_pcm(block, self._sound.rate_hz, *self._out)
        except AudioError as error:
            raise AudioError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._sound.close()


def file_excerpts(path: Path | str, out_rate_hz: int, n_wanted: int, n_samples: int) -> FileExcerpts | None:
    """Open an audio file for stretches of it, without decoding the rest.

    Parameters
    ----------
    path, out_rate_hz
        As of :func:`file_blocks`.
    n_wanted, n_samples
        Stretches, evenly spread, and samples of each at ``out_rate_hz``.

    Returns
    -------
    FileExcerpts or None
        None where the file is little longer than they are, is not one stream, or its length is unknown: then
        it is to be read whole.

    Raises
    ------
    AudioError
        As :func:`file_blocks`.
    """
    sound = open_audio(path)
    try:
        lead = lead_frames(sound.rate_hz, out_rate_hz)
        n_frames = -(-n_samples * sound.rate_hz // out_rate_hz) + 2 * lead
        found = sound.excerpts(n_wanted, n_frames)
        if found is None or found.n_frames < n_wanted * n_frames * _WORTHWHILE:
            sound.close()
            return None
    except BaseException as error:
        sound.close()
        if isinstance(error, EdgeGenreError):
            raise AudioError(f"{path}: {error}") from error
        raise

    return FileExcerpts(path, sound, found, n_frames, (out_rate_hz, n_samples))


def open_audio(path: Path | str) -> SoundFile | MediaFile:
    """Open an audio file by its content; raises :class:`AudioError` as :func:`file_blocks` does."""
    path = Path(path)
    if os.path.isdir(path):
        raise AudioError(f"{path}: is a directory, not an audio file")
    handle = _open_binary(path)
    try:
        return _open(handle, path.suffix.lower(), path)
    except EdgeGenreError as error:
        handle.close()
        raise AudioError(f"{path}: {error}") from error


def _open(handle: BinaryIO, extension: str, path: Path) -> SoundFile | MediaFile:
    """Open a file with libsndfile, or with PyAV where its name or its content asks for it."""
    if extension not in EXTENSIONS:
        raise AudioError(
            f"unknown extension {path.suffix or '(none)'!r}; allowed are {' '.join(EXTENSIONS)}; convert the file "
            f"first:  {_conversion(path)}"
        )
    if extension in MEDIA_EXTENSIONS:
        if not has_media():
            raise AudioError(
                f"{extension} needs the extra media: run  {install_command('media')}, or convert the file:  "
                f"{_conversion(path)}"
            )
        return open_media(handle)
    try:
        return open_sound(handle, is_mp3=extension == ".mp3")
    except AudioError as error:
        if "libsndfile" not in str(error):
            raise
        if has_media():
            with contextlib.suppress(AudioError):
                return open_media(handle)
        raise AudioError(f"{error}; if a player plays it, convert it:  {_conversion(path)}") from error


def _conversion(path: Path) -> str:
    made = path.with_suffix(".flac" if path.suffix.lower() == ".wav" else ".wav").name  # not onto itself
    names = [f"./{name}" if name.startswith("-") else name for name in (str(path), made)]  # which is no option
    return f"ffmpeg -i {shlex.join(names)}"


def audio_files(paths: Iterable[Path | str], on_error: Callable[[AudioError], None] | None = None) -> list[Path]:
    """Expand directories, recursively, to the audio files in them; hidden files and folders are left out.

    Parameters
    ----------
    paths
        Files and directories.
    on_error
        Takes what is wrong with a directory below one of them, so that the others are still looked through; None
        raises it.

    Returns
    -------
    list of pathlib.Path
        Files in the order given; those of one directory sorted. Files named directly are not checked here.

    Raises
    ------
    AudioError
        A path that does not exist or cannot be looked at, or a directory without audio.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise AudioError(f"{path}: {reason}") from error
        if not stat.S_ISDIR(mode):
            found.append(path)
            continue
        inside = sorted(_files_below(path, on_error))
        if not inside:
            raise AudioError(f"{path}: directory without audio; looked for {' '.join(EXTENSIONS)}")
        found += inside
    return found


def _files_below(folder: Path, on_error: Callable[[AudioError], None] | None) -> Iterator[Path]:
    def closed(error: OSError) -> None:
        said = AudioError(f"{error.filename}: cannot be looked through ({(error.strerror or str(error)).lower()})")
        if on_error is None or os.path.samestat(os.stat(error.filename), os.stat(folder)):
            raise said from error
        on_error(said)

    for parent, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith(".") and os.path.isfile(path):
                yield path


def _open_binary(path: Path) -> BinaryIO:
    """Open ``path`` for reading; raises :class:`AudioError` if it is missing, unreadable or empty."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise AudioError(f"{path}: is no regular file; pipe it into  edgegenre-run -")
        handle = path.open("rb")
        if handle.seek(0, 2) == 0:
            handle.close()
            raise AudioError(f"{path}: the file is empty")
        handle.seek(0)
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: {(getattr(error, 'strerror', None) or str(error)).lower()}") from error
    return handle
