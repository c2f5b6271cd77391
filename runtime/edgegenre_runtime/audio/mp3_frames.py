"""The frames of an MP3, counted: neither its tags nor a length that somebody estimated are believed.

libsndfile reads as many frames as a Xing header promises, and without one as many as the first bitrate lets it
expect. :func:`scan_mp3` walks from frame header to frame header (ISO 11172-3, 2.4.1.3) to the real end of the file;
where what it finds is not what libsndfile would read, a Xing header with the true count is put before the frames.
"""

from __future__ import annotations

import dataclasses
import functools
from array import array
from collections.abc import Iterator, Sequence

from .byte_ranges import FileBytes

__all__ = ["FrameHeader", "Mp3Layout", "id3_end", "parse_header", "scan_mp3"]

_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1, _MONO = 3, 3
_ONE_MORE = 1  # some encoders count the Xing frame too, some do not
_HEAD_BYTES = 48  # header, side information and what a Xing header begins with
_LEAD_FRAMES = 10  # before a stretch: a bit reservoir of 511 bytes at the lowest bitrates
_SURE_FRAMES = 3  # so many in a row are an MP3 and no accident
_XING_BITRATE = 9  # of the frame that carries our Xing header: long enough at every rate
_XING_FRAMES, _XING_BYTES = 1, 2  # flags of the fields that a Xing header has


@dataclasses.dataclass(frozen=True, slots=True)
class FrameHeader:
    """The header of a layer III frame.

    Attributes
    ----------
    version
        3 for MPEG 1, 2 for MPEG 2, 0 for MPEG 2.5.
    rate_hz
        Sample rate.
    is_mono
        Whether it has one channel.
    n_bytes
        Length of the frame, header and padding included.
    """

    version: int
    rate_hz: int
    is_mono: bool
    n_bytes: int

    @property
    def samples(self) -> int:
        """Samples per channel in a frame."""
        return 1152 if self.version == _MPEG1 else 576

    @property
    def side_bytes(self) -> int:
        """Bytes of side information behind the header."""
        mono, stereo = (17, 32) if self.version == _MPEG1 else (9, 17)
        return mono if self.is_mono else stereo

    def continues(self, other: FrameHeader) -> bool:
        """Whether the two can stand in one stream."""
        return (self.version, self.rate_hz) == (other.version, other.rate_hz)


@dataclasses.dataclass(frozen=True, slots=True)
class Mp3Layout:
    """Where the audio of an MP3 is.

    Attributes
    ----------
    ranges
        Byte ranges of the audio frames, without tags, Xing frames and what is no frame.
    header
        That of the first audio frame.
    n_frames
        Audio frames there are.
    promised_frames
        Audio frames that the one Xing header promises; None if there is none that says.
    is_plain
        Whether a decoder that believes the file reads just these frames.
    skipped_bytes
        Bytes between frames that belong to no tag.
    starts
        Position of every audio frame.
    """

    ranges: tuple[tuple[int, int], ...]
    header: FrameHeader
    n_frames: int
    promised_frames: int | None
    is_plain: bool
    skipped_bytes: int
    starts: Sequence[int] = dataclasses.field(compare=False)

    @property
    def missing_frames(self) -> int:
        """Frames that were promised and are not there, beyond what encoders count differently."""
        missing = (self.promised_frames or 0) - self.n_frames
        return missing if missing > _ONE_MORE else 0

    def xing_frame(self) -> bytes:
        """Return a frame without audio whose Xing header gives the true number of frames."""
        first = (0xFF, 0xE2 | self.header.version << 3 | 1, _XING_BITRATE << 4 | self._rate_index() << 2)
        header = bytes((*first, _MONO << 6 if self.header.is_mono else 0))
        parsed = parse_header(header)
        assert parsed is not None  # noqa: S101  # every field is from a header that was parsed
        n_bytes = parsed.n_bytes + sum(stop - start for start, stop in self.ranges)
        fields = (_XING_FRAMES | _XING_BYTES, self.n_frames, n_bytes)
        xing = b"Xing" + b"".join(min(field, 0xFFFFFFFF).to_bytes(4, "big") for field in fields)
        return (header + bytes(parsed.side_bytes) + xing).ljust(parsed.n_bytes, b"\0")

    def stretch(self, start: int, n_samples: int) -> tuple[Mp3Layout, int]:
        """Return the frames of ``n_samples`` samples from ``start``, and how many samples they begin before it.

        Some frames more lead them in, since a frame refers to the bytes of those before it (the bit reservoir).
        """
        first = max(start // self.header.samples - _LEAD_FRAMES, 0)
        stop = min(-(-(start + n_samples) // self.header.samples) + 1, self.n_frames)  # one for the decoder's delay
        begin, end = self.starts[first], (*self.starts[stop : stop + 1], self.ranges[-1][1])[0]
        ranges = tuple((max(a, begin), min(b, end)) for a, b in self.ranges if a < end and b > begin)
        part = dataclasses.replace(self, ranges=ranges, n_frames=stop - first, starts=self.starts[first:stop])
        return part, start - first * self.header.samples

    def _rate_index(self) -> int:
        return _RATES_HZ[self.header.version].index(self.header.rate_hz)


@functools.lru_cache(maxsize=1024)
def parse_header(data: bytes) -> FrameHeader | None:
    """Return the layer III header that four bytes are, or None."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE6 != 0xE2:  # sync, layer III
        return None
    version, bitrate, rate = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    kbps = (_MPEG1_KBPS if version == _MPEG1 else _MPEG2_KBPS)[bitrate]
    n_bytes = (144 if version == _MPEG1 else 72) * kbps * 1000 // rate_hz + (data[2] >> 1 & 1)
    return FrameHeader(version, rate_hz, data[3] >> 6 == _MONO, n_bytes)


def id3_end(content: FileBytes, position: int = 0) -> int:
    """Return the position behind the ID3v2 tags that begin at ``position``."""
    while (tag := content.at(position, 10))[:3] == b"ID3" and len(tag) == 10 and max(tag[6:10]) < 0x80:
        size = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        position += 10 + size + (10 if tag[5] & 0x10 else 0)  # flag: a footer
    return position


def scan_mp3(content: FileBytes) -> Mp3Layout | None:
    """Walk the frames of a file; returns None where there is no MP3."""
    start = id3_end(content)
    first = _next_frame(content, start, None, _SURE_FRAMES)
    if first is None:
        return None
    frames = list(_walk(content, first))
    audio = [(position, header) for position, header, promised in frames if promised is None]
    promises = [promised for _, _, promised in frames if promised is not None]
    if not audio:
        return None
    ranges, skipped = _merge(content, audio)
    promised = promises[0] if len(promises) == 1 and frames[0][2] else None
    is_plain = first == start and not skipped and promised is not None and promised >= len(audio) - _ONE_MORE
    starts = array("Q", (position for position, _ in audio))
    return Mp3Layout(tuple(ranges), audio[0][1], len(audio), promised, is_plain, skipped, starts)


def _walk(content: FileBytes, position: int) -> Iterator[tuple[int, FrameHeader, int | None]]:
    """Yield position and header of every whole frame, and of a Xing frame the number of frames it promises."""
    first = parse_header(content.at(position, 4))
    while first is not None:
        head = content.at(position, _HEAD_BYTES)
        header = parse_header(head[:4])
        if header is None or not first.continues(header):
            found = _next_frame(content, _tags_end(content, position), first, 2)
            if found is None:
                return
            position = found
            continue
        if position + header.n_bytes > content.n_bytes:
            return
        yield position, header, _promised_frames(head, header)
        position += header.n_bytes


def _next_frame(content: FileBytes, position: int, like: FrameHeader | None, n_sure: int) -> int | None:
    """Return where ``n_sure`` frames follow each other from ``position`` on; at the end of the file fewer do."""
    while (position := content.find(b"\xff", position)) >= 0:
        if _is_run(content, position, like, n_sure):
            return position
        position += 1
    return None


def _is_run(content: FileBytes, position: int, like: FrameHeader | None, n_sure: int) -> bool:
    for index in range(n_sure):
        header = parse_header(content.at(position, 4))
        if header is None:
            return index > 0 and position == content.n_bytes
        if like is not None and not like.continues(header):
            return False
        like, position = header, position + header.n_bytes
    return position <= content.n_bytes


def _tags_end(content: FileBytes, position: int) -> int:
    """Return the position behind ID3v1, ID3v2 and APE tags."""
    while True:
        start = position
        position = id3_end(content, position)
        if content.at(position, 3) == b"TAG":
            position += 128
        ape = content.at(position, 32)
        if ape[:8] == b"APETAGEX" and len(ape) == 32:
            position += 32 + int.from_bytes(ape[12:16], "little") if ape[23] & 0x20 else 32
        if position == start:
            return position


def _promised_frames(frame: bytes, header: FrameHeader) -> int | None:
    """Return the number of frames that a Xing or Info frame promises (0: it does not say), None for audio."""
    at = 4 + header.side_bytes
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return 0 if frame[36:40] == b"VBRI" else None
    has_frames = frame[at + 7] & _XING_FRAMES
    return int.from_bytes(frame[at + 8 : at + 12], "big") if has_frames else 0


def _merge(content: FileBytes, audio: list[tuple[int, FrameHeader]]) -> tuple[list[tuple[int, int]], int]:
    """Return the ranges of consecutive frames, and the bytes between them that are no tag and no Xing frame."""
    ranges: list[tuple[int, int]] = []
    skipped = 0
    for position, header in audio:
        stop = position + header.n_bytes
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], stop)
            continue
        if ranges:
            skipped += _between(content, ranges[-1][1], position)
        ranges.append((position, stop))
    return ranges, skipped


def _between(content: FileBytes, start: int, stop: int) -> int:
    """Return the bytes of a gap that are neither tags nor a Xing frame."""
    position = _tags_end(content, start)
    header = parse_header(content.at(position, 4))
    if header is not None and _promised_frames(content.at(position, _HEAD_BYTES), header) is not None:
        position += header.n_bytes
    return max(stop - position, 0)
