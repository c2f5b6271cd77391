"""Audio files, read block by block in flat memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre_runtime.errors import AudioError, EdgeGenreError

from .pcm_blocks import PcmBlocks
from .resample import Resampler

__all__ = ["EXTENSIONS", "audio_files", "file_blocks"]

EXTENSIONS = (".aif", ".aifc", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd", ".wav")
_BLOCK_FRAMES = 16384
_MP3_SLACK = 0.98  # without a Xing header libsndfile only estimates how many frames an MP3 has
_OGG_TAIL_BYTES = 65536 + 282  # the largest Ogg page
_STREAMED_BYTES = 0x7FFF0000  # a header that promises 2 GiB or more was written to a pipe and promises nothing


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no type hints
    """A sound file read forwards only: a seek after each block costs MP3 its bits and FLAC its tail."""

    def seekable(self) -> bool:
        """Return False, which makes ``read`` trust neither the header's length nor a seek."""
        return False


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
        Blocks of at most about 16384 input samples; a truncated file gives what is there, then a warning.

    Raises
    ------
    AudioError
        Missing file, unknown extension, empty, not audio, a rate or channel count that cannot be resampled,
        or not a single sample (this one possibly when the first block is drawn).
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: is a directory, not an audio file")
    if path.suffix.lower() not in EXTENSIONS:
        raise AudioError(
            f"{path}: unknown extension {path.suffix or '(none)'!r}; allowed are {' '.join(EXTENSIONS)}; "
            "convert the file first, e.g. with ffmpeg"
        )
    handle = _open_binary(path)
    try:
        sound = _open_sound(handle)
        resampler = Resampler(sound.samplerate, sound.channels, out_rate_hz)
    except EdgeGenreError as error:
        handle.close()
        raise AudioError(f"{path}: {error}") from error
    warnings: list[str] = []
    return PcmBlocks(str(path), _read_sound(handle, sound, warnings), resampler, warnings)


def audio_files(paths: Iterable[Path | str]) -> list[Path]:
    """Expand directories, recursively, to the audio files in them.

    Returns
    -------
    list of pathlib.Path
        Files in the order given; those of one directory sorted. Files named directly are not checked here.

    Raises
    ------
    AudioError
        A path that does not exist or a directory without audio.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
            if not inside:
                raise AudioError(f"{path}: directory without audio; looked for {' '.join(EXTENSIONS)}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise AudioError(f"{path}: no such file or directory")
    return found


def _open_binary(path: Path) -> BinaryIO:
    """Open ``path`` for reading; raises :class:`AudioError` if it is missing, unreadable or empty."""
    try:
        handle = path.open("rb")
        if handle.seek(0, 2) == 0:
            handle.close()
            raise AudioError(f"{path}: the file is empty")
        handle.seek(0)
    except OSError as error:
        raise AudioError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    return handle


def _open_sound(handle: BinaryIO) -> _ForwardFile:
    """Open ``handle`` with libsndfile, which then goes by the content and not by the extension."""
    try:
        sound = _ForwardFile(handle)
    except (soundfile.LibsndfileError, TypeError) as error:
        detail = getattr(error, "error_string", str(error)).rstrip(".")
        if "regular file" in detail:  # what libsndfile says when its MP3 decoder finds no frame
            detail = "no MPEG frame found"
        raise AudioError(f"not audio that libsndfile can read ({detail.lower()})") from error
    if sound.frames == 0:
        raise AudioError("contains no audio")
    return sound


def _read_sound(handle: BinaryIO, sound: _ForwardFile, warnings: list[str]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 [n, channels] until the file ends or breaks off; say in ``warnings`` if it broke off."""
    n_read = 0
    with handle, sound:
        while True:
            try:
                block = sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                detail = error.error_string.removeprefix("Error : ").rstrip(".")
                warnings.append(f"damaged after {n_read} of {sound.frames} samples ({detail})")
                return
            if not len(block):
                break
            n_read += len(block)
            yield block
        promised = sound.frames * (_MP3_SLACK if sound.format == "MP3" else 1)
        if n_read < promised:
            warnings.append(f"truncated: {n_read} of {sound.frames} samples are there")
        elif _is_cut(handle, sound):
            warnings.append(f"truncated: the file ends after {n_read} samples, before its header says it does")


def _is_cut(handle: BinaryIO, sound: _ForwardFile) -> bool:
    """Return whether a file is shorter than its own header says, where libsndfile does not tell."""
    if sound.format == "OGG":
        handle.seek(max(0, handle.seek(0, 2) - _OGG_TAIL_BYTES))
        tail = handle.read()
        last_page = tail[tail.rfind(b"OggS") :]
        return len(last_page) < 6 or not last_page[5] & 4  # flag 4: end of stream
    sizes = re.findall(r"(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", sound.extra_info)
    return any(int(actual) < int(claimed) < _STREAMED_BYTES for claimed, actual in sizes)
