"""What the first bytes of a pipe are: raw PCM, a WAV header, or an audio file that must be decoded first."""

from __future__ import annotations

import dataclasses
import struct
from typing import BinaryIO

from edgegenre_runtime.errors import AudioError

from .mp3_frames import parse_header

__all__ = ["PeekableStream", "WavHeader", "container_name", "read_wav_header"]

_MAGIC = {  # offset and bytes
    "an Ogg file": (0, b"OggS"),
    "a FLAC file": (0, b"fLaC"),
    "an MP3 file": (0, b"ID3"),
    "an AU file": (0, b".snd"),
    "a CAF file": (0, b"caff"),
    "an AIFF file": (8, b"AIFF"),
    "an AIFF-C file": (8, b"AIFC"),
    "an MP4 file": (4, b"ftyp"),
    "a Matroska or WebM file": (0, b"\x1a\x45\xdf\xa3"),
    "a WavPack file": (0, b"wvpk"),
    "a Monkey's Audio file": (0, b"MAC "),
    "an ASF or WMA file": (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    "a Wave64 file": (0, b"riff\x2e\x91\xcf\x11"),
    "a big-endian WAV file": (0, b"RIFX"),
    "a RIFF file that is no WAV": (0, b"RIFF"),
    "a VOC file": (0, b"Creative Voi"),
    "a MIDI file": (0, b"MThd"),
    "an AMR file": (0, b"#!AMR"),
    "a DSD file": (0, b"DSD "),
    "a DSDIFF file": (0, b"FRM8"),
    "a TTA file": (0, b"TTA1"),
    "a Musepack file": (0, b"MPCK"),
    "an older Musepack file": (0, b"MP+"),
    "a zip archive": (0, b"PK\x03\x04"),
    "a gzip archive": (0, b"\x1f\x8b\x08"),
    "a bzip2 archive": (0, b"BZh"),
    "an xz archive": (0, b"\xfd7zXZ\x00"),
    "a PDF file": (0, b"%PDF-"),
    "a PNG picture": (0, b"\x89PNG\r\n\x1a\n"),
    "a JPEG picture": (0, b"\xff\xd8\xff"),
    "a NumPy array": (0, b"\x93NUMPY"),
}
_PEEK_BYTES = 12
_TEXT_PEEK_BYTES = 64
_MPEG_PEEK_BYTES = 8192 + 9  # the longest ADTS frame and the next one's header
_MAX_CHUNK_BYTES = 64 << 20  # of a chunk before the data, such as a cover picture
_STREAMED_BYTES = 0x7FFF0000  # a header that promises this or more was written to a pipe and promises nothing
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class PeekableStream:
    """A binary stream whose first bytes can be looked at before they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)  # read1 returns what a pipe has, without waiting for more
        self._held = b""

    def peek(self, n_bytes: int) -> bytes:
        """Return the next ``n_bytes``, fewer only at the end; they stay."""
        while len(self._held) < n_bytes and (chunk := self._read(n_bytes - len(self._held))):
            self._held += chunk
        return self._held[:n_bytes]

    def read_some(self, n_bytes: int) -> bytes:
        """Return at most ``n_bytes``, as many as are there; none at the end."""
        if self._held:
            taken, self._held = self._held[:n_bytes], self._held[n_bytes:]
            return taken
        return bytes(self._read(n_bytes))

    def read_exactly(self, n_bytes: int) -> bytes:
        """Return ``n_bytes``; raises AudioError if the stream ends before."""
        parts, left = [], n_bytes
        while left:
            part = self.read_some(left)
            if not part:
                raise AudioError("standard input: a WAV file that ends within its header")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def container_name(stream: PeekableStream) -> str:
    """Return ``"WAV"``, the name of another kind of audio file with its article, or "" for raw PCM."""
    first = stream.peek(_PEEK_BYTES)
    if first[:4] in (b"RIFF", b"RF64", b"BW64") and first[8:12] == b"WAVE":
        return "WAV"
    for name, (offset, magic) in _MAGIC.items():
        if first[offset : offset + len(magic)] == magic:
            return name
    if len(first) == _PEEK_BYTES and _is_text(first) and _is_text(stream.peek(_TEXT_PEEK_BYTES)):
        return "text"
    if first[:1] == b"\xff":
        return _frames_name(stream.peek(_MPEG_PEEK_BYTES))
    return ""


def _is_text(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in data)


def _frames_name(data: bytes) -> str:
    """Return the name of what begins with two MPEG frames; one alone may be samples that look like a header."""
    frame = parse_header(data[:4])
    if frame is not None:
        following = parse_header(data[frame.n_bytes : frame.n_bytes + 4])
        return "an MP3 file" if following is not None and frame.continues(following) else ""
    n_bytes = _adts_bytes(data)
    if n_bytes and _adts_bytes(data[n_bytes:]) and data[n_bytes + 1 : n_bytes + 3] == data[1:3]:
        return "an AAC file"
    return ""


def _adts_bytes(data: bytes) -> int:
    """Return the length of the ADTS frame (AAC) that begins here, or 0."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or data[2] >> 2 & 15 > 12:
        return 0
    n_bytes = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return n_bytes if n_bytes > 7 else 0


@dataclasses.dataclass(frozen=True, slots=True)
class WavHeader:
    """What a WAV header says.

    Attributes
    ----------
    rate_hz, channels, fmt
        The format, ``fmt`` as in :data:`.raw_pcm.RAW_FORMATS`.
    data_bytes
        Size of the data chunk, or None where the header was written to a pipe and does not know it.
    """

    rate_hz: int
    channels: int
    fmt: str
    data_bytes: int | None


def read_wav_header(stream: PeekableStream) -> WavHeader:
    """Read up to the first byte of the data chunk.

    Raises
    ------
    AudioError
        If the header is damaged, or the samples are compressed.
    """
    stream.read_exactly(_PEEK_BYTES)
    fmt, data64 = b"", None
    while True:
        name, size = struct.unpack("<4sI", stream.read_exactly(8))
        if name == b"data":
            break
        if size > _MAX_CHUNK_BYTES:
            raise AudioError(f"standard input: a damaged WAV file (a chunk of {size} bytes before the data)")
        chunk = stream.read_exactly(size + size % 2)  # padded to an even length
        if name == b"fmt ":
            fmt = chunk
        elif name == b"ds64" and size >= 16:
            (data64,) = struct.unpack("<Q", chunk[8:16])
    if len(fmt) < 16:
        raise AudioError("standard input: a damaged WAV file (no format before the data)")
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        (tag,) = struct.unpack("<H", fmt[24:26])
    name_of_format = _raw_format(tag, bits, block_bytes // channels if channels else 0)
    if not name_of_format:
        raise AudioError(
            f"standard input: a WAV file with samples of kind {tag} and {bits} bits, which are not plain PCM: "
            "give the file itself as FILE, or convert it with ffmpeg"
        )
    data_bytes = size if data64 is None or size != 0xFFFFFFFF else data64
    is_streamed = size == 0 or (data_bytes >= _STREAMED_BYTES and data64 is None)
    return WavHeader(rate_hz, channels, name_of_format, None if is_streamed else data_bytes)


def _raw_format(tag: int, bits: int, sample_bytes: int) -> str:
    """Return the name of a raw format, or "" where there is none."""
    names = {
        (_PCM, 8, 1): "u8",
        (_PCM, 16, 2): "s16le",
        (_PCM, 24, 3): "s24le",
        (_PCM, 24, 4): "s24-32le",
        (_PCM, 32, 4): "s32le",
        (_FLOAT, 32, 4): "f32le",
        (_FLOAT, 64, 8): "f64le",
    }
    return names.get((tag, bits, sample_bytes), "")
