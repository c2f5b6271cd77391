"""What a file holds by its own bytes: one stream, or several that were joined; and what lies behind the audio.

libsndfile stops at the end of the first Ogg stream, FLAC or WAV; joined files go on. :func:`split_container` finds
where each begins, so that every one is read.
"""

from __future__ import annotations

import itertools

from .byte_ranges import FileBytes
from .mp3_frames import id3_end

__all__ = ["OTHERS", "bytes_behind_audio", "finished_header", "is_cut_ogg", "split_container"]

_FLAC_FIRST_BLOCKS = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")  # the block header that always comes first
_OGG_BEGIN, _OGG_END = 2, 4
_OGG_TAIL_BYTES = 65536 + 282  # the largest page
_STREAMED_BYTES = 0x7FFF0000  # a header that promises 2 GiB or more was written to a pipe and promises nothing
_RIFF = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}
OTHERS = (b"OggS", b"fLaC", *_RIFF)
"""First bytes of what is not an MP3, whatever its name says."""


def split_container(content: FileBytes) -> list[tuple[int, int]]:
    """Return the byte ranges of the streams in an Ogg, FLAC, WAV or AIFF file, in order; the whole of any other."""
    start = id3_end(content)
    magic = content.at(start, 4)
    starts = [0]
    if magic == b"OggS":
        starts = _ogg_starts(content, start)
    elif magic == b"fLaC":
        starts = _flac_starts(content)
    elif magic in _RIFF:
        starts = _riff_starts(content, start)
    return list(itertools.pairwise([*starts, content.n_bytes]))


def _ogg_starts(content: FileBytes, position: int) -> list[int]:
    """Return where chained Ogg streams begin: at the first pages behind others that begin a stream."""
    starts: list[int] = []
    is_beginning = False
    while (position := content.find(b"OggS", position)) >= 0:
        page = content.at(position, 27)
        if len(page) < 27 or page[4] != 0:
            position += 4
            continue
        begins = bool(page[5] & _OGG_BEGIN)
        if begins and not is_beginning:
            starts.append(position)
        is_beginning = begins
        position += 27 + page[26] + sum(content.at(position + 27, page[26]))
    return starts or [0]


def is_cut_ogg(content: FileBytes, stop: int) -> bool:
    """Return whether the last page before ``stop`` does not end its stream."""
    first = max(stop - _OGG_TAIL_BYTES, 0)
    tail = content.at(first, stop - first)
    last_page = tail[tail.rfind(b"OggS") :]
    return len(last_page) < 6 or not last_page[5] & _OGG_END


def _flac_starts(content: FileBytes) -> list[int]:
    starts, position = [0], id3_end(content)
    while (position := content.find(b"fLaC", position + 1)) >= 0:
        if content.at(position + 4, 4) in _FLAC_FIRST_BLOCKS:
            starts.append(position)
    return starts


def _riff_starts(content: FileBytes, position: int) -> list[int]:
    starts = [position]
    while True:
        kind, size = _chunk(content, position, _RIFF.get(content.at(position, 4), "little"))
        position += 8 + size + size % 2
        if size >= _STREAMED_BYTES or kind not in _RIFF or content.at(position, 4) != kind:
            return starts
        starts.append(position)


def finished_header(content: FileBytes, start: int, stop: int) -> tuple[bytes, int] | None:
    """Return the header of a WAV file with the size of its samples, where its writer was stopped before it knew it.

    Returns
    -------
    header, first
        The bytes up to the samples, and where these begin; None where the header is finished.
    """
    if content.at(start, 4) != b"RIFF":
        return None
    position = start + 12
    while position + 8 < stop:
        name, size = _chunk(content, position, "little")
        position += 8
        if name == b"data":
            if size:
                return None
            head, rest = content.at(start, position - start), stop - position
            return head[:4] + min(len(head) - 8 + rest, 0xFFFFFFFF).to_bytes(4, "little") + head[8:-4] + rest.to_bytes(
                4, "little"
            ), position
        position += size + size % 2
    return None


def bytes_behind_audio(content: FileBytes, start: int, stop: int) -> int:
    """Return the bytes of a WAV or AIFF file between ``start`` and ``stop`` that lie behind its last whole chunk."""
    kind = content.at(start, 4)
    if kind not in _RIFF:
        return 0
    position = start + 12
    while position + 8 <= stop:
        name, size = _chunk(content, position, _RIFF[kind])
        if not all(0x20 <= byte < 0x7F for byte in name):
            break
        if name in (b"data", b"SSND") and (size == 0 or size >= _STREAMED_BYTES):  # all that is there is read
            return 0
        position += 8 + size + size % 2
    return max(stop - position, 0)


def _chunk(content: FileBytes, position: int, order: str) -> tuple[bytes, int]:
    header = content.at(position, 8)
    return header[:4], int.from_bytes(header[4:], "little" if order == "little" else "big")
