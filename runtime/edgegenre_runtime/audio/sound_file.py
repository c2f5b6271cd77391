"""Audio files by libsndfile: every stream that is in a file, each read forwards to its real end."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre_runtime.errors import AudioError

from .byte_ranges import ByteRanges, FileBytes
from .containers import OTHERS, bytes_behind_audio, finished_header, is_cut_ogg, split_container
from .excerpts import Excerpts, spread
from .mp3_frames import Mp3Layout, id3_end, scan_mp3
from .resample import LARGEST_SAMPLE

__all__ = ["Findings", "SoundFile", "open_sound"]

_BLOCK_FRAMES = 131072  # 3 s: less often, and what a block needs of Python has left the processor's caches
_DAMAGED_BLOCK_FRAMES = 16384  # a decoder that stumbles costs its block; that of MP3 goes on behind what is damaged
_STREAMED_BYTES = 0x7FFF0000  # a header that promises 2 GiB or more was written to a pipe and promises nothing
_NO_PROMISE = 1 << 40  # frames; what libsndfile says where a header does not know
_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_UNREAD_S = 0.5  # bytes behind the audio that are worth less are leftovers of an editor

_Floats = npt.NDArray[np.float32]
_Frames = _Floats | npt.NDArray[np.int16]


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What was found while a file was read, one sentence each.

    Attributes
    ----------
    damages
        What is missing or broken: a data set has no use for such a file.
    notes
        What was done about something unusual.
    """

    damages: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no type hints
    """A sound file read forwards only: a seek after each block costs MP3 its bits and FLAC its tail."""

    def seekable(self) -> bool:
        """Return False, which makes ``read`` trust neither the header's length nor a seek."""
        return False


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """One stream of a file, as libsndfile is to read it.

    Attributes
    ----------
    ranges, prefix
        As of :class:`ByteRanges`.
    damage
        What its structure says against it, "" if nothing.
    mp3
        Where its frames are, of an MP3.
    """

    ranges: tuple[tuple[int, int], ...]
    prefix: bytes = b""
    damage: str = ""
    mp3: Mp3Layout | None = None


class SoundFile:
    """An audio file that libsndfile reads.

    Attributes
    ----------
    rate_hz, channels
        Of its first stream.
    findings
        Complete once :meth:`frames` is exhausted.
    """

    def __init__(self, handle: BinaryIO, parts: list[_Part]) -> None:
        self._handle, self._parts = handle, parts
        self.findings = Findings()
        self._cut = ""
        with self._opened(parts[0]) as (_, sound):
            self.rate_hz: int = sound.samplerate
            self.channels: int = sound.channels
            if sound.frames == 0 and len(parts) == 1:
                raise AudioError("contains no audio")
            is_float = sound.subtype in _FLOAT_SUBTYPES
        self._gain = self._measure_gain() if is_float else np.float32(1)

    @contextlib.contextmanager
    def _opened(self, part: _Part) -> Iterator[tuple[ByteRanges, _ForwardFile]]:
        content = ByteRanges(self._handle, part.ranges, part.prefix)
        source = content.descriptor()
        try:
            sound = _ForwardFile(content if source is None else source)  # a descriptor is closed with it
        except (soundfile.LibsndfileError, TypeError) as error:
            if content.error is not None:
                raise AudioError((content.error.strerror or str(content.error)).lower()) from error
            raise AudioError("not audio that libsndfile can read") from error
        with sound:
            yield content, sound

    def _measure_gain(self) -> np.float32:
        """Return what brings the loudest sample of a float file to full scale, 1 if it is not above it."""
        peak = 1.0
        for block in self._all_frames(Findings()):
            levels = np.abs(np.asarray(block, np.float32))
            peak = max(peak, float(levels[levels <= LARGEST_SAMPLE].max(initial=0)))
        if peak > 1:
            self.findings.notes.append(f"its loudest sample is {peak:.3g} times full scale: turned down to fit")
        gain: np.float32 = np.float32(1 / peak)
        return gain

    def frames(self) -> Iterator[_Frames]:
        """Yield float32 at full scale 1, or int16 of a file of 16 bits, [n, channels] to its end, and close it."""
        with self._handle:
            if self._gain == 1:
                yield from self._all_frames(self.findings)
                return
            for block in self._all_frames(self.findings):
                with np.errstate(invalid="ignore"):  # NaN stays NaN, and is counted as such
                    scaled = (block * self._gain).astype(np.float32, copy=False)
                yield scaled

    def close(self) -> None:
        """Close a file that is not read after all."""
        self._handle.close()

    @property
    def damages(self) -> tuple[str, ...]:
        """What the file's structure alone says against it."""
        return tuple(damage for damage in (*(part.damage for part in self._parts), self._cut) if damage)

    def excerpts(self, n_wanted: int, n_frames: int) -> Excerpts | None:
        """Return stretches spread over the file, None where it must be read from its beginning.

        Parameters
        ----------
        n_wanted
            How many.
        n_frames
            Samples a channel of each.
        """
        if len(self._parts) > 1:
            return None
        part = self._parts[0]
        if part.mp3 is not None:
            n_all = part.mp3.n_frames * part.mp3.header.samples
            return Excerpts(n_all, self._mp3_excerpts(part.mp3, spread(n_all, n_wanted, n_frames), n_frames))
        with self._opened(part) as (_, sound):
            n_all = _promised_frames(sound)
            if _is_cut(FileBytes(self._handle), part, sound):
                self._cut = "truncated: the file ends before its header says it does"
        return (
            Excerpts(n_all, self._seek_excerpts(part, spread(n_all, n_wanted, n_frames), n_frames)) if n_all else None
        )

    def _seek_excerpts(self, part: _Part, starts: Sequence[int], n_frames: int) -> Iterator[_Floats]:
        with self._opened(part) as (_, sound):
            for start in starts:
                yield _stretch(sound, start, n_frames)

    def _mp3_excerpts(self, layout: Mp3Layout, starts: Sequence[int], n_frames: int) -> Iterator[_Floats]:
        for start in starts:
            stretch, skipped = layout.stretch(start, n_frames)
            with self._opened(_Part(stretch.ranges, stretch.xing_frame())) as (_, sound):
                yield _stretch(sound, 0, skipped + n_frames)[skipped:]

    def _all_frames(self, findings: Findings) -> Iterator[_Frames]:
        for number, part in enumerate(self._parts, 1):
            try:
                with self._opened(part) as (content, sound):
                    if (sound.samplerate, sound.channels) != (self.rate_hz, self.channels):
                        findings.damages.append(
                            f"stream {number} of {len(self._parts)} has {sound.samplerate} Hz and {sound.channels} "
                            "channel(s), unlike the first: it and what follows are not read"
                        )
                        return
                    yield from self._part_frames(part, content, sound, findings)
            except AudioError as error:
                findings.damages.append(f"stream {number} of {len(self._parts)}: {error}")
                return

    def _part_frames(
        self, part: _Part, content: ByteRanges, sound: _ForwardFile, findings: Findings
    ) -> Iterator[_Frames]:
        n_read, promised = 0, _promised_frames(sound)
        broken = ""
        try:
            for block in _blocks(sound, _BLOCK_FRAMES):
                n_read += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            broken = _reason(error)
        if broken and content.error is None:
            for block in self._up_to_damage(part, n_read):
                n_read += len(block)
                yield block
        if content.error is not None:
            broken = (content.error.strerror or str(content.error)).lower()
        of = f" of {promised}" if promised else ""
        if broken:
            findings.damages.append(f"damaged after {n_read}{of} samples ({broken})")
        elif part.damage:
            findings.damages.append(part.damage)
        elif n_read < promised:
            findings.damages.append(f"truncated: {n_read}{of} samples are there")
        else:
            self._check_end(part, sound, n_read, findings)

    def _up_to_damage(self, part: _Part, n_read: int) -> Iterator[_Frames]:
        """Yield what follows the first ``n_read`` frames of a damaged stream, read once more, in short blocks."""
        with self._opened(part) as (_, sound), contextlib.suppress(soundfile.LibsndfileError):
            for _ in _blocks(sound, _BLOCK_FRAMES, n_read):
                pass
            yield from _blocks(sound, _DAMAGED_BLOCK_FRAMES)

    def _check_end(self, part: _Part, sound: _ForwardFile, n_read: int, findings: Findings) -> None:
        """Say so where a file is shorter, or its audio longer, than libsndfile tells."""
        file, (start, stop) = FileBytes(self._handle), part.ranges[0]
        if _is_cut(file, part, sound):
            findings.damages.append(f"truncated: the file ends after {n_read} samples, before its header says it does")
            return
        unread, read = bytes_behind_audio(file, start, stop), stop - start
        read_s = n_read / sound.samplerate
        about_s = read_s * read / max(read - unread, 1)
        if about_s - read_s > _UNREAD_S:
            findings.damages.append(
                f"read {read_s:.1f} of about {about_s:.1f} s: the rest lies behind the end that the header gives"
            )


def _blocks(sound: _ForwardFile, n_most: int, n_frames: int = sys.maxsize) -> Iterator[_Frames]:
    """Yield blocks of at most ``n_most`` frames from where a file is to its end, or ``n_frames`` altogether."""
    promised = _promised_frames(sound)
    if sound.format == "FLAC" and promised:  # what lies behind, an ID3v1 tag for one, would cost its last block
        n_frames = min(n_frames, promised - sound.tell())
    dtype = "int16" if sound.subtype == "PCM_16" else "float32"
    while n_frames > 0:
        block = sound.read(min(n_most, n_frames), dtype=dtype, always_2d=True)
        if not len(block):
            return
        n_frames -= len(block)
        yield block


def _is_cut(file: FileBytes, part: _Part, sound: _ForwardFile) -> bool:
    """Return whether a WAV, AIFF or Ogg file is shorter than its header, or its last page, says."""
    sizes = re.findall(r"(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", sound.extra_info)
    is_cut = any(int(actual) < int(claimed) < _STREAMED_BYTES for claimed, actual in sizes)
    return is_cut or (sound.format == "OGG" and is_cut_ogg(file, part.ranges[0][1]))


def _stretch(sound: _ForwardFile, start: int, n_frames: int) -> _Floats:
    """Return float32 [n_frames, channels] from ``start``; raises :class:`AudioError` if that fails."""
    try:
        if start:
            sound.seek(start)
        block: _Floats = sound.read(n_frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"damaged ({_reason(error)})") from error
    return block


def _reason(error: soundfile.LibsndfileError) -> str:
    """Return what libsndfile says: ``flac decoder lost sync``, or the system's error."""
    said: str = error.error_string.removeprefix("Error : ").removeprefix("System error : ")
    return said.rstrip(".")


def _promised_frames(sound: _ForwardFile) -> int:
    """Return the frames that a header gives; 0 where it gives none, or libsndfile estimates them (MPEG audio)."""
    is_known = sound.frames < _NO_PROMISE and not sound.subtype.startswith("MPEG")
    return int(sound.frames) if is_known else 0


def open_sound(handle: BinaryIO, is_mp3: bool) -> SoundFile:
    """Open a file by its content.

    Parameters
    ----------
    handle
        Open for reading, seekable; it is closed after the last of the frames.
    is_mp3
        Whether its name says MP3, whose frames may begin anywhere.

    Raises
    ------
    AudioError
        If libsndfile cannot read it, or there is no sample in it.
    """
    content = FileBytes(handle)
    ranges = split_container(content)
    parts = [_iff_part(content, *span) for span in ranges]
    if len(ranges) == 1 and (is_mp3 or content.at(0, 3) == b"ID3") and content.at(id3_end(content), 4) not in OTHERS:
        parts = [_mp3_part(content) or parts[0]]
    return SoundFile(handle, parts)


def _iff_part(content: FileBytes, start: int, stop: int) -> _Part:
    finished = finished_header(content, start, stop)
    return _Part(((start, stop),)) if finished is None else _Part(((finished[1], stop),), finished[0])


def _mp3_part(content: FileBytes) -> _Part | None:
    """Return how an MP3 is to be read: as it is, or its frames behind a header with their true number."""
    layout = scan_mp3(content)
    if layout is None:
        return None
    damage = ""
    if layout.missing_frames:
        rate_hz, samples = layout.header.rate_hz, layout.header.samples
        there, promised = (n * samples / rate_hz for n in (layout.n_frames, layout.promised_frames or 0))
        damage = f"truncated: {there:.1f} of {promised:.1f} s are there"
    elif layout.skipped_bytes:
        damage = f"damaged: {layout.skipped_bytes} bytes in the middle are no MPEG frames"
    if layout.is_plain:
        return _Part(((0, content.n_bytes),), damage=damage, mp3=layout)
    return _Part(layout.ranges, layout.xing_frame(), damage, layout)
