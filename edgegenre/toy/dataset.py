"""Toy music: a seeded step sequencer with ten styles, for tests, demos and a first training without any data."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, UsageError

from .styles import STYLES, Part, Style
from .synth import chord, drum, room

__all__ = ["FAMILIES", "render", "write_dataset", "write_mixtures", "write_piece"]

_BAR_STEPS = 16
_ROMAN = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_SCALES = {True: (0, 2, 4, 7, 9), False: (0, 3, 5, 7, 10)}  # pentatonic, by Style.is_major
_MAX_SECONDS = 600.0

_Sound = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class _Piece:
    """What the seed decided before the first note."""

    chords: tuple[tuple[int, ...], ...]
    key_semitones: int
    beat_s: float
    swing: float
    is_major: bool
    rate_hz: int


def render(style: str, seed: int, seconds: float, sample_rate_hz: int = 22050) -> npt.NDArray[np.int16]:
    """Play a piece.

    Parameters
    ----------
    style
        A key of :data:`edgegenre.toy.styles.STYLES`.
    seed
        Decides key, tempo, progression, patterns, timbres, notes and level; not negative.
    seconds
        Length, up to ten minutes.
    sample_rate_hz
        Sample rate in Hz, 8000 to 192000.

    Returns
    -------
    numpy.ndarray
        int16 [round(seconds * sample_rate_hz)], mono.

    Raises
    ------
    UsageError
        An argument outside what is allowed.
    """
    if style not in STYLES:
        raise UsageError(f"style {style!r} is unknown; there are: {', '.join(STYLES)}")
    if not 0 < seconds <= _MAX_SECONDS or not 8000 <= sample_rate_hz <= 192000 or seed < 0:
        raise UsageError(
            f"cannot render {seconds} s at {sample_rate_hz} Hz with seed {seed}; allowed are up to "
            f"{_MAX_SECONDS:g} s, 8000 to 192000 Hz and seeds from 0"
        )
    rng = np.random.default_rng([seed, *style.encode()])
    return _play(STYLES[style], seconds, sample_rate_hz, rng)


FAMILIES = {
    "art": ("classical", "jazz"),
    "beat": ("disco", "hiphop", "pop", "reggae"),
    "guitar": ("metal", "rock"),
    "roots": ("blues", "country"),
}
"""The ten styles as a two-level taxonomy, the same as in ``examples/gtzan_taxonomy.csv``."""


def write_piece(path: Path | str, style: str, seed: int, seconds: float) -> None:
    """Render one piece into a WAV file, 16 bit at 22.05 kHz; its folder is made if it is missing.

    Raises
    ------
    UsageError
        An argument outside what is allowed.
    DataError
        The file or its folder cannot be written.
    """
    _write_wav(Path(path), render(style, seed, seconds))


def _write_wav(path: Path, pcm: npt.NDArray[np.int16]) -> None:
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot make the folder ({error.strerror})") from error
    content = io.BytesIO()  # soundfile asserts where a file on a full disk raises
    soundfile.write(content, pcm, 22050, format="WAV", subtype="PCM_16")
    with written_beside(path) as handle:
        handle.write(content.getvalue())


def write_dataset(
    out: Path | str,
    clips_per_style: int,
    seconds: float,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    in_families: bool = False,
) -> list[Path]:
    """Write a data set in GTZAN's layout, ``out/blues/blues.00000.wav`` and so on, 16 bit at 22.05 kHz.

    Parameters
    ----------
    out
        Folder, made if it is missing; clips of the same names are replaced.
    clips_per_style, seconds
        How many clips of what length.
    seed
        Clip ``i`` has seed ``100000 * seed + i``.
    progress
        Called with the clips done and the clips in all.
    in_families
        Put the styles' folders into those of :data:`FAMILIES`: ``out/roots/blues/blues.00000.wav``.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    UsageError
        A count, length or seed outside what is allowed.
    DataError
        The folder cannot be written.
    """
    family_of = {style: family for family, styles in FAMILIES.items() for style in styles}
    if not 1 <= clips_per_style <= 100_000:
        raise UsageError(f"clips per style is {clips_per_style}; allowed are 1 to 100000")
    written: list[Path] = []
    for style in STYLES:
        for index in range(clips_per_style):
            folder = Path(out) / family_of[style] if in_families else Path(out)
            path = folder / style / f"{style}.{index:05d}.wav"
            write_piece(path, style, 100_000 * seed + index, seconds)
            written.append(path)
            if progress is not None:
                progress(len(written), clips_per_style * len(STYLES))
    return written


def write_mixtures(
    out: Path | str,
    clips: int,
    seconds: float,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write clips in which one to three styles play at once, and ``labels.csv`` with what plays in each.

    Parameters
    ----------
    out
        Folder, made if it is missing; clips of the same names are replaced.
    clips, seconds
        How many clips of what length.
    seed
        Clip ``i`` follows from ``seed`` and ``i``.
    progress
        Called with the clips done and the clips in all.

    Returns
    -------
    pathlib.Path
        The manifest, with labels such as ``blues;disco``.

    Raises
    ------
    UsageError
        A count, length or seed outside what is allowed.
    DataError
        The folder cannot be written.
    """
    if not 1 <= clips <= 100_000 or seed < 0:
        raise UsageError(f"clips is {clips} and the seed {seed}; allowed are 1 to 100000, and seeds from 0")
    styles, lines = list(STYLES), ["path,label"]
    for index in range(clips):
        rng = np.random.default_rng((seed, index))
        n_more = int(rng.choice(3, p=(0.4, 0.4, 0.2)))
        others = rng.permutation([style for style in styles if style != styles[index % len(styles)]])[:n_more]
        playing = sorted([styles[index % len(styles)], *others.tolist()])
        pieces = [render(style, 100_000 * seed + index, seconds).astype(np.float64) for style in playing]
        mix = np.sum([piece / max(np.sqrt(np.mean(piece**2)), 1.0) for piece in pieces], axis=0)
        name = f"mix.{index:05d}.wav"
        _write_wav(Path(out) / "clips" / name, np.rint(29000 * mix / np.abs(mix).max()).astype(np.int16))
        lines.append(f"clips/{name},{';'.join(playing)}")
        if progress is not None:
            progress(index + 1, clips)
    manifest = Path(out) / "labels.csv"
    with written_beside(manifest) as handle:
        handle.write(("\n".join(lines) + "\n").encode())
    return manifest


def _play(style: Style, seconds: float, rate_hz: int, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Mix drums and parts, put them into a room and round to int16 [n]."""
    progression = style.progressions[rng.integers(len(style.progressions))].split()
    first_bar = int(rng.integers(len(progression)))
    piece = _Piece(
        chords=tuple(_chord_semitones(name) for name in progression[first_bar:] + progression[:first_bar]),
        key_semitones=int(rng.integers(-5, 7)),
        beat_s=60.0 / rng.uniform(*style.bpm),
        swing=style.swing * rng.uniform(0.8, 1.1),
        is_major=style.is_major,
        rate_hz=rate_hz,
    )
    n = round(seconds * rate_hz)
    n_bars = int(seconds / (4 * piece.beat_s)) + 1
    mix = np.zeros(n)
    for name, gain, patterns in style.drums:
        pattern = patterns[rng.integers(len(patterns))]
        _play_drum(mix, drum(name, rate_hz, rng) * gain * _jitter(rng), pattern * n_bars, piece, rng)
    for part in style.parts:
        pattern = part.patterns[rng.integers(len(part.patterns))]
        _play_part(mix, part, pattern * n_bars, piece, rng)
    tilt_db = style.tilt_db + rng.normal(0.0, 0.3)
    mix = room(mix, style.wet * rng.uniform(0.7, 1.3), style.room_s, tilt_db, rate_hz, rng)
    peak = 10.0 ** (rng.uniform(-6.0, -0.5) / 20.0)
    scaled: _Sound = np.rint(32767.0 * peak * mix / max(np.abs(mix).max(), 1e-9))
    return scaled.astype(np.int16)


def _play_drum(mix: _Sound, hit: _Sound, steps: str, piece: _Piece, rng: np.random.Generator) -> None:
    """Add a drum's hits to the mix; one in forty is left out."""
    for step, mark in enumerate(steps):
        if mark in "xo" and rng.random() > 0.025:
            strength = 0.5 if mark == "o" else 1.0
            _add(mix, hit * strength * rng.uniform(0.85, 1.0), _start(step, piece, rng))


def _play_part(mix: _Sound, part: Part, steps: str, piece: _Piece, rng: np.random.Generator) -> None:
    """Add a part's notes to the mix; equal notes are made once."""
    timbre = dataclasses.replace(part.timbre, rolloff=part.timbre.rolloff * rng.uniform(0.9, 1.1))
    gain = part.gain * _jitter(rng)
    notes: dict[tuple[tuple[int, ...], int], _Sound] = {}
    walk = int(rng.integers(-2, 5))
    for step, mark in enumerate(steps):
        if mark == ".":
            continue
        n_steps = min(part.gate_steps, len(steps[step + 1 :]) - len(steps[step + 1 :].lstrip(".")) + 1)
        walk = int(np.clip(walk + rng.integers(-2, 3), -3, 7)) if mark == "l" else walk
        tones = piece.chords[step // _BAR_STEPS % len(piece.chords)]
        pitches = tuple(part.base_midi + p for p in _semitones(mark, tones, walk, piece, rng))
        if (pitches, n_steps) not in notes:
            duration_s = n_steps * piece.beat_s / 4 + 0.02
            notes[pitches, n_steps] = chord(pitches, duration_s, timbre, piece.rate_hz, rng)
        strength = gain * (0.5 if mark == "o" else 1.0) * rng.uniform(0.85, 1.0)
        _add(mix, notes[pitches, n_steps] * strength, _start(step, piece, rng))


def _semitones(
    mark: str, tones: tuple[int, ...], walk: int, piece: _Piece, rng: np.random.Generator
) -> tuple[int, ...]:
    """Return what a pattern's character plays, in semitones above the part's base."""
    if mark in "xo":
        chosen: tuple[int, ...] = tones
    elif mark == "l":
        scale = _SCALES[piece.is_major]
        chosen = (scale[walk % len(scale)] + 12 * (walk // len(scale)),)
    elif mark == "w":
        chosen = (int(rng.choice(tones)) + int(rng.integers(-1, 2)),)
    else:
        chosen = ({"r": tones[0], "3": tones[1], "5": tones[min(2, len(tones) - 1)], "8": tones[0] + 12}[mark],)
    return tuple(semitones + piece.key_semitones for semitones in chosen)


def _chord_semitones(name: str) -> tuple[int, ...]:
    """Return a chord's tones above the key: ``"IV7"``, ``"bVI"`` or ``"ii"``; ``5`` is a power chord."""
    flat, numeral = name.startswith("b"), name.strip("b57")
    root = _ROMAN[numeral.lower()] - flat
    root -= 12 if root > 7 else 0
    third = 4 if numeral.isupper() else 3
    intervals = {"5": (0, 7, 12), "7": (0, third, 7, 10)}.get(name[-1], (0, third, 7))
    return tuple(root + interval for interval in intervals)


def _start(step: int, piece: _Piece, rng: np.random.Generator) -> int:
    """Return the sample where a step begins: swung, and a few milliseconds off as a human is."""
    beat, quarter = divmod(step, 4)
    middle = 0.5 + piece.swing
    swung = quarter / 2 * middle if quarter < 2 else middle + (quarter / 4 - 0.5) * 2 * (1 - middle)
    return max(0, round(((beat + swung) * piece.beat_s + rng.normal(0.0, 0.003)) * piece.rate_hz))


def _add(mix: _Sound, sound: _Sound, start: int) -> None:
    """Add ``sound`` to ``mix`` from ``start`` on, cut at the end."""
    stop = min(mix.size, start + sound.size)
    if start < stop:
        mix[start:stop] += sound[: stop - start]


def _jitter(rng: np.random.Generator) -> float:
    """Return a gain near 1 (standard deviation 1.5 dB)."""
    return float(10.0 ** (rng.normal(0.0, 1.5) / 20.0))
