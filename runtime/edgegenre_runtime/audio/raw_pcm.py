"""PCM from a pipe, read as it comes: headerless, or after the header of a WAV file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import AudioError, UsageError

from .pcm_blocks import PcmBlocks
from .resample import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Resampler
from .stream_format import PeekableStream, WavHeader, container_name, read_wav_header

__all__ = ["RAW_FORMATS", "PcmStream", "check_raw_format", "open_pcm", "raw_blocks"]

RAW_FORMATS = {
    "f32be": 4, "f32le": 4, "f64le": 8, "s16be": 2, "s16le": 2, "s24-32le": 4, "s24be": 3, "s24le": 3, "s32be": 4,
    "s32le": 4, "s8": 1, "u8": 1,
}  # fmt: skip
"""Bytes of one sample by the format's name. ``s24-32le`` is 24 bits in the low bytes of four, ALSA's ``S24_LE``."""

_BLOCK_FRAMES = 16384
_DEFAULTS = (22050, 1, "s16le")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PcmStream:
    """PCM whose format is known.

    Attributes
    ----------
    rate_hz, channels, fmt
        The format, ``fmt`` one of :data:`RAW_FORMATS`.
    frames
        Yields float32 [n, channels] as the bytes come in, whole frames only.
    warnings
        Complete once ``frames`` is exhausted.
    """

    rate_hz: int
    channels: int
    fmt: str
    frames: Iterator[npt.NDArray[np.float32]]
    warnings: list[str]


def open_pcm(stream: BinaryIO, rate_hz: int | None, channels: int | None, fmt: str | None) -> PcmStream:
    """Look at the first bytes of a pipe and return its PCM.

    Parameters
    ----------
    stream
        A binary stream such as ``sys.stdin.buffer``; reads may be partial, a frame cut off at the end is dropped.
    rate_hz, channels, fmt
        What a headerless stream holds; 22050 Hz, one channel and ``s16le`` by default. Where there is a WAV header,
        what is given must agree with it.

    Raises
    ------
    UsageError
        An unknown format, or a rate or channel count outside what is allowed.
    AudioError
        The stream is another kind of audio file, or a WAV file that cannot be read from a pipe.
    """
    check_raw_format(rate_hz, channels, fmt)
    peekable = PeekableStream(stream)
    name = container_name(peekable)
    warnings: list[str] = []
    if name == "WAV":
        header = read_wav_header(peekable)
        given = {"--rate": (rate_hz, header.rate_hz), "--channels": (channels, header.channels)}
        for option, (wanted, found) in {**given, "--format": (fmt, header.fmt)}.items():
            if wanted is not None and wanted != found:
                raise AudioError(
                    f"standard input: a WAV file with {header.rate_hz} Hz, {header.channels} channel(s) and format "
                    f"{header.fmt}, but {option} {wanted} was given: leave it out"
                )
        check_raw_format(header.rate_hz, header.channels, header.fmt)
        frames = _wav_frames(peekable, header, warnings)
        return PcmStream(header.rate_hz, header.channels, header.fmt, frames, warnings)
    if name:
        raise AudioError(
            f"standard input: {name}, not raw PCM: give the file itself as FILE, or decode it on the way, e.g.  "
            "ffmpeg -i FILE -f s16le -ac 1 -ar 22050 - | edgegenre-run -"
        )
    rate_hz = _DEFAULTS[0] if rate_hz is None else rate_hz
    channels = _DEFAULTS[1] if channels is None else channels
    fmt = _DEFAULTS[2] if fmt is None else fmt
    return PcmStream(rate_hz, channels, fmt, _frames(peekable, channels, fmt), warnings)


def raw_blocks(
    stream: BinaryIO, rate_hz: int | None, channels: int | None, fmt: str | None, out_rate_hz: int
) -> PcmBlocks:
    """Return int16 mono blocks at ``out_rate_hz`` of PCM from a binary stream; see :func:`open_pcm`.

    Raises
    ------
    UsageError, AudioError
        As :func:`open_pcm`; AudioError on iteration if the stream ends without one whole frame.
    """
    pcm = open_pcm(stream, rate_hz, channels, fmt)
    resampler = Resampler(pcm.rate_hz, pcm.channels, out_rate_hz)
    return PcmBlocks("standard input", pcm.frames, resampler, pcm.warnings)


def check_raw_format(rate_hz: int | None, channels: int | None, fmt: str | None) -> None:
    """Raise :class:`UsageError` for a rate, channel count or format that is not allowed; None is."""
    if rate_hz is not None and not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(f"sample rate {rate_hz} Hz is out of range; allowed are {MIN_RATE_HZ} to {MAX_RATE_HZ}")
    if channels is not None and not 1 <= channels <= MAX_CHANNELS:
        raise UsageError(f"{channels} channels are out of range; allowed are 1 to {MAX_CHANNELS}")
    if fmt is not None and fmt not in RAW_FORMATS:
        raise UsageError(f"raw format {fmt!r} is unknown; allowed are {', '.join(RAW_FORMATS)}")


def _frames(
    stream: PeekableStream, channels: int, fmt: str, n_bytes: int | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 [n, channels] of ``n_bytes``, or of all there is."""
    frame_bytes = RAW_FORMATS[fmt] * channels
    rest, left = b"", n_bytes
    while left is None or left > 0:
        block_bytes = _BLOCK_FRAMES * frame_bytes
        chunk = stream.read_some(block_bytes if left is None else min(block_bytes, left))
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        rest += chunk
        n_frames = len(rest) // frame_bytes
        if n_frames:
            yield _decode(rest[: n_frames * frame_bytes], fmt).reshape(n_frames, channels)
            rest = rest[n_frames * frame_bytes :]


def _wav_frames(stream: PeekableStream, header: WavHeader, warnings: list[str]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the frames of the data chunk, and nothing of what lies behind it."""
    n_frames = 0
    for frames in _frames(stream, header.channels, header.fmt, header.data_bytes):
        n_frames += len(frames)
        yield frames
    if header.data_bytes is not None:
        promised = header.data_bytes // (RAW_FORMATS[header.fmt] * header.channels)
        if n_frames < promised:
            warnings.append(f"truncated: {n_frames} of {promised} samples are there")
        while stream.read_some(1 << 16):  # the writer of the pipe is not cut off
            pass


def _decode(data: bytes, fmt: str) -> npt.NDArray[np.float32]:
    """Return samples as float32 [n] at full scale 1.0."""
    width, order = RAW_FORMATS[fmt], ">" if fmt.endswith("be") else "<"
    if fmt[0] == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # a float64 beyond float32 becomes infinite, and is counted
            floats: npt.NDArray[np.float32] = np.frombuffer(data, f"{order}f{width}").astype(np.float32)
        return floats
    if fmt == "u8":
        unsigned: npt.NDArray[np.float32] = np.frombuffer(data, np.uint8).astype(np.float32)
        unsigned = unsigned / np.float32(128) - np.float32(1)
        return unsigned
    octets = np.frombuffer(data, np.uint8).reshape(-1, width)
    octets = octets[:, ::-1] if order == ">" else octets
    octets = octets[:, :3] if fmt == "s24-32le" else octets
    left_aligned = np.zeros((len(octets), 4), np.uint8)
    left_aligned[:, 4 - octets.shape[1] :] = octets
    samples: npt.NDArray[np.float32] = left_aligned.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
    return samples
