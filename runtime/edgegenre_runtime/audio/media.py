"""What libsndfile does not read, by FFmpeg's libraries in PyAV (extra ``media``): M4A, WMA, WebM, WavPack."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import AudioError
from edgegenre_runtime.extras import import_extra

from .excerpts import Excerpts, spread
from .sound_file import Findings

__all__ = ["MEDIA_EXTENSIONS", "MediaFile", "has_media", "open_media"]

MEDIA_EXTENSIONS = (
    ".3gp", ".aac", ".ac3", ".alac", ".amr", ".ape", ".asf", ".dsf", ".m4a", ".m4b", ".mka", ".mov", ".mp2", ".mp4",
    ".tta", ".webm", ".wma", ".wv",
)  # fmt: skip

_WITHOUT_LENGTH = ("aac", "ac3", "amr", "dts", "eac3", "loas", "mp3")
_LEAD_S = 0.1  # before a stretch
_CONTAINER_UNITS = 1_000_000  # a second in the unit of a container's duration

_Floats = npt.NDArray[np.float32]


def has_media() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


class MediaFile:
    """The first audio stream of a file that FFmpeg reads.

    Attributes
    ----------
    rate_hz, channels
        Of the stream.
    findings
        Complete once :meth:`frames` is exhausted.
    """

    def __init__(self, handle: BinaryIO, av: Any) -> None:
        self._handle, self._av = handle, av
        self.findings = Findings()
        try:
            self._container = av.open(handle, metadata_errors="ignore")
            streams = self._container.streams.audio
        except (av.FFmpegError, ValueError, OSError) as error:
            raise AudioError(f"not audio that FFmpeg can read ({_reason(error)})") from error
        context = streams[0].codec_context if streams else None
        if context is None or not context.sample_rate or not context.channels:
            raise AudioError("not audio that FFmpeg can read (no audio stream)")
        self._stream = streams[0]
        self.rate_hz: int = context.sample_rate
        self.channels: int = context.channels
        self._promised_s = self._measure_promise()
        self._n_damaged = 0  # packets

    def frames(self) -> Iterator[_Floats]:
        """Yield float32 [n, channels] to the end of the file, without what is damaged, and close it."""
        layout = self._stream.codec_context.layout
        resampler = self._av.AudioResampler(format="flt", layout=layout, rate=self.rate_hz)
        n_read, n_wanted = 0, self._edited_samples()
        with self._handle, self._container:
            try:
                for frame in itertools.chain(self._sound_frames(), [None]):
                    for block in resampler.resample(frame):
                        samples = _samples(block, self.channels)[: n_wanted - n_read]
                        n_read += len(samples)
                        yield samples
            except (self._av.FFmpegError, ValueError, OSError) as error:
                self.findings.damages.append(f"damaged after {n_read} samples ({_reason(error)})")
                return
        self._check_length(n_read)

    def _sound_frames(self) -> Iterator[Any]:
        """Yield frames of the packets that can be decoded, and count those that cannot be."""
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except (self._av.FFmpegError, ValueError):  # also of nonsense that FFmpeg has no error for
                self._n_damaged += 1
                continue
            yield from frames

    @property
    def damages(self) -> tuple[str, ...]:
        """What the file's structure alone says against it: nothing."""
        return ()

    def close(self) -> None:
        """Close a file that is not read to its end."""
        with self._handle:
            self._container.close()

    def excerpts(self, n_wanted: int, n_frames: int) -> Excerpts | None:
        """Return stretches spread over the file, None where its length is unknown; as :meth:`SoundFile.excerpts`."""
        n_all = round(self._promised_s * self.rate_hz)
        return Excerpts(n_all, self._seek_excerpts(spread(n_all, n_wanted, n_frames), n_frames)) if n_all else None

    def _seek_excerpts(self, starts: Sequence[int], n_frames: int) -> Iterator[_Floats]:
        try:
            for start in starts:
                yield self._excerpt(start, n_frames)
        except (self._av.FFmpegError, ValueError, OSError) as error:
            raise AudioError(f"damaged ({_reason(error)})") from error

    def _excerpt(self, start: int, n_frames: int) -> _Floats:
        """Return samples from ``start``, decoded from the packet before: a codec's first frame after a seek is off."""
        wanted_s = start / self.rate_hz
        self._container.seek(round(max(wanted_s - _LEAD_S, 0) * _CONTAINER_UNITS))
        layout = self._stream.codec_context.layout
        resampler = self._av.AudioResampler(format="flt", layout=layout, rate=self.rate_hz)
        blocks, n_read = [np.zeros((0, self.channels), np.float32)], 0
        for frame in self._container.decode(self._stream):
            skipped = round((wanted_s - frame.time) * self.rate_hz) if frame.time is not None and not n_read else 0
            for block in resampler.resample(frame):
                blocks.append(_samples(block, self.channels)[max(skipped, 0) :])
                n_read += len(blocks[-1])
            if n_read >= n_frames:
                break
        return np.concatenate(blocks)[:n_frames]

    def _edited_samples(self) -> int:
        """Return where an MP4's edit list ends the music: what its codec pads the last frame with is none of it."""
        is_mp4 = "mp4" in self._container.format.name
        return round(self._promised_s * self.rate_hz) if is_mp4 and self._promised_s else sys.maxsize

    def _measure_promise(self) -> float:
        """Seconds that the container gives; 0 where FFmpeg would only estimate them from the first bitrate."""
        stream, container = self._stream, self._container
        if container.format.name in _WITHOUT_LENGTH:
            return 0.0
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / _CONTAINER_UNITS if container.duration else 0.0

    def _check_length(self, n_read: int) -> None:
        """Compare with what the container promises; it is exact to a block of its codec."""
        read_s = n_read / self.rate_hz
        there = f"{read_s:.1f} of {self._promised_s:.1f} s are there"
        if self._n_damaged:
            self.findings.damages.append(f"damaged: {self._n_damaged} packets of it cannot be decoded; {there}")
        elif read_s < self._promised_s - 1:
            self.findings.damages.append(f"truncated: {there}")


def _samples(frame: Any, channels: int) -> _Floats:
    samples: _Floats = frame.to_ndarray().reshape(-1, channels).astype(np.float32, copy=False)
    return samples


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0].lower() if str(error) else "unknown error"


def open_media(handle: BinaryIO) -> MediaFile:
    """Open a file with PyAV.

    Raises
    ------
    AudioError
        If FFmpeg cannot read it.
    MissingExtraError
        If PyAV is not installed.
    """
    av = import_extra("av", "media")
    handle.seek(0)
    return MediaFile(handle, av)
