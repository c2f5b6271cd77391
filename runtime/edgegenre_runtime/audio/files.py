"""Where audio comes from on a device: files and raw PCM streams, read block by block in flat memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre_runtime.errors import AudioError, EdgeGenreError, UsageError

from .resample import Resampler

__all__ = ["EXTENSIONS", "RAW_FORMATS", "PcmBlocks", "audio_files", "file_blocks", "raw_blocks", "raw_frames"]

EXTENSIONS = (".aif", ".aifc", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd", ".wav")
RAW_FORMATS = {"f32le": 4, "s16le": 2, "s24le": 3, "s32le": 4, "u8": 1}  # name -> bytes of one sample
_BLOCK_FRAMES = 16384
_MP3_SLACK = 0.98  # without a Xing header libsndfile only estimates how many frames an MP3 has
_OGG_TAIL_BYTES = 65536 + 282  # the largest Ogg page
_STREAMED_BYTES = 0x7FFF0000  # a header that promises 2 GiB or more was written to a pipe and promises nothing


class PcmBlocks(Iterator["npt.NDArray[np.int16]"]):
    """An iterator over int16 mono blocks [m] at one rate that remembers what was wrong with its source.

    Attributes
    ----------
    name
        What the source is called in messages.
    warnings
        Complete once the iterator is exhausted: one sentence each on a source that ends early or holds NaN or
        infinite samples. Empty for a sound source.
    """

    def __init__(
        self, name: str, frames: Iterator[npt.NDArray[np.float32]], resampler: Resampler, warnings: list[str]
    ) -> None:
        self.name = name
        self.warnings = warnings
        self._blocks = self._run(frames, resampler)

    def __iter__(self) -> PcmBlocks:
        return self

    def __next__(self) -> npt.NDArray[np.int16]:
        return next(self._blocks)

    def _run(self, frames: Iterator[npt.NDArray[np.float32]], resampler: Resampler) -> Iterator[npt.NDArray[np.int16]]:
        n_frames = 0
        for block in frames:
            n_frames += len(block)
            pcm = resampler.push(block)
            if pcm.size:
                yield pcm
        if n_frames == 0:
            raise AudioError(f"{self.name}: contains no audio")
        tail = resampler.flush()
        if tail.size:
            yield tail
        if resampler.bad_samples:
            self.warnings.append(f"{resampler.bad_samples} samples are NaN or infinite and count as 0")


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


def raw_blocks(stream: BinaryIO, rate_hz: int, channels: int, fmt: str, out_rate_hz: int) -> PcmBlocks:
    """Return int16 mono blocks at ``out_rate_hz`` of headerless interleaved PCM from a binary stream.

    Parameters
    ----------
    stream
        A binary stream such as ``sys.stdin.buffer``; reads may be partial, a frame cut off at the end is
        dropped.
    rate_hz, channels
        What the stream holds.
    fmt
        Sample format, one of :data:`RAW_FORMATS`.
    out_rate_hz
        Rate of the blocks in Hz.

    Raises
    ------
    UsageError
        An unknown format, or a rate or channel count outside what is allowed.
    AudioError
        On iteration: the stream ends without one whole frame.
    """
    if fmt not in RAW_FORMATS:
        raise UsageError(f"raw format {fmt!r} is unknown; allowed are {', '.join(RAW_FORMATS)}")
    resampler = Resampler(rate_hz, channels, out_rate_hz)
    return PcmBlocks("raw PCM stream", raw_frames(stream, channels, fmt), resampler, [])


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


def raw_frames(stream: BinaryIO, channels: int, fmt: str) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 [n, channels] of headerless interleaved PCM as the bytes come in, whole frames only."""
    frame_bytes = RAW_FORMATS[fmt] * channels
    read = getattr(stream, "read1", stream.read)  # read1 returns what a pipe has now, without waiting for more
    rest = b""
    while chunk := read(_BLOCK_FRAMES * frame_bytes):
        rest += chunk
        n_frames = len(rest) // frame_bytes
        if n_frames:
            yield _decode(rest[: n_frames * frame_bytes], fmt).reshape(n_frames, channels)
            rest = rest[n_frames * frame_bytes :]


def _decode(data: bytes, fmt: str) -> npt.NDArray[np.float32]:
    """Return raw samples as float32 [n] at full scale 1.0."""
    samples: npt.NDArray[np.float32]
    if fmt == "f32le":
        samples = np.frombuffer(data, "<f4").astype(np.float32)
    elif fmt == "u8":
        samples = np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    else:
        width = RAW_FORMATS[fmt]
        left_aligned = np.zeros((len(data) // width, 4), np.uint8)
        left_aligned[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        samples = left_aligned.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
    return samples
