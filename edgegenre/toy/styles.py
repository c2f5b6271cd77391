"""What the toy music plays: a table of ten styles named as GTZAN's genres.

A bar has 16 steps, one character each; in a pattern ``.`` is a rest and

====  ==========================================================
x     drum hit or whole chord; ``o`` is the same at half strength
r35   root, third, fifth of the chord; ``8`` is the root an octave up
w     a chord tone at random
l     the next note of a random walk on the pentatonic scale
====  ==========================================================
"""

from __future__ import annotations

import dataclasses

from .synth import Timbre

__all__ = ["STYLES", "Part", "Style"]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One player.

    Attributes
    ----------
    timbre
        How the notes sound.
    patterns
        Patterns of which one is drawn a piece.
    base_midi
        MIDI note of the key's root, before the piece is transposed.
    gain
        Amplitude in the mix.
    gate_steps
        Longest note, in steps; the next note of the part ends it earlier.
    """

    timbre: Timbre
    patterns: tuple[str, ...]
    base_midi: int
    gain: float
    gate_steps: int = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """How a style is played.

    Attributes
    ----------
    bpm
        Slowest and fastest tempo, in beats a minute.
    progressions
        Chords as Roman numerals, one a bar; one progression is drawn a piece.
    drums
        Name in :data:`edgegenre.toy.synth.DRUMS`, gain, and patterns of which one is drawn a piece.
    parts
        The players.
    swing
        Delay of every second eighth, in beats.
    is_major
        Whether the melody is in major.
    wet, room_s, tilt_db
        See :func:`edgegenre.toy.synth.room`.
    """

    bpm: tuple[int, int]
    progressions: tuple[str, ...]
    drums: tuple[tuple[str, float, tuple[str, ...]], ...]
    parts: tuple[Part, ...]
    swing: float = 0.0
    is_major: bool = True
    wet: float = 0.15
    room_s: float = 0.1
    tilt_db: float = 0.0


_BASS = Timbre("wave", rolloff=1.6, decay_s=0.6)
_UPRIGHT = Timbre("pluck", rolloff=1.0)
_STEEL = Timbre("pluck", rolloff=0.0)
_STRINGS = Timbre("wave", rolloff=1.3, attack_s=0.09, vibrato_cents=14)
_PIANO = Timbre("wave", rolloff=1.7, decay_s=0.5)
_SAW = Timbre("wave", rolloff=1.0, attack_s=0.01)
_EPIANO = Timbre("fm", ratio=1.0, index=1.5, decay_s=0.7)
_HORN = Timbre("wave", rolloff=1.1, attack_s=0.04, vibrato_cents=25, odd_only=True)
_CRUNCH = Timbre("wave", rolloff=0.9, decay_s=0.8, drive=2.5)
_HIGH_GAIN = Timbre("wave", rolloff=0.7, decay_s=0.9, drive=14)

STYLES = {
    "blues": Style(
        bpm=(66, 96),
        swing=0.17,
        progressions=("I7 I7 IV7 I7 V7 IV7 I7 V7", "I7 IV7 I7 I7 IV7 IV7 I7 V7"),
        drums=(
            ("kick", 0.6, ("x.......x.......", "x.....o.x.......")),
            ("snare", 0.4, ("....x.......x...",)),
            ("ride", 0.12, ("x.x.x.x.x.x.x.x.",)),
        ),
        parts=(
            Part(_BASS, ("r.r.5.5.3.3.5.5.", "r.3.5.3.8.5.3.5."), 36, 0.6, 2),
            Part(_CRUNCH, ("x.o.x.o.x.o.x.o.", "..x...x...x...x."), 50, 0.25, 2),
            Part(dataclasses.replace(_HORN, odd_only=False, drive=1.5), ("..l.l.....l.l.l.",), 64, 0.4, 3),
        ),
        is_major=False,
        tilt_db=-1.5,
    ),
    "classical": Style(
        bpm=(56, 92),
        progressions=("I V vi iii IV I IV V", "i iv V i bVI iv V i", "I IV V I vi ii V I"),
        drums=(),
        parts=(
            Part(_STRINGS, ("x.......x.......", "x..............."), 55, 0.5, 16),
            Part(_STRINGS, ("r.......5.......",), 43, 0.4, 8),
            Part(_PIANO, ("r.5.8.5.3.5.8.5.", "r5835583r5835583"), 60, 0.35, 4),
            Part(_STRINGS, ("l.....l.l...l...",), 74, 0.3, 6),
        ),
        wet=0.6,
        room_s=0.45,
        tilt_db=-1.5,
    ),
    "country": Style(
        bpm=(96, 124),
        progressions=("I I IV I V V I I", "I IV I V", "I V I IV"),
        drums=(
            ("kick", 0.35, ("x.......x.......",)),
            ("shaker", 0.25, ("oooxooxooooxooxo", "o.oxo.oxo.oxo.ox")),
            ("rim", 0.2, ("....x.......x...",)),
        ),
        parts=(
            Part(_UPRIGHT, ("r.......5.......", "r...r...5...5..."), 40, 0.8, 6),
            Part(_STEEL, ("....x.o.....x.o.", "..x.x.o...x.x.o."), 57, 0.5, 3),
            Part(_STEEL, ("l.ll..l.l.l.ll..", "..l.l.l.l..ll.l."), 69, 0.6, 3),
        ),
        tilt_db=2.0,
    ),
    "disco": Style(
        bpm=(112, 126),
        progressions=("i bVII bVI V", "i iv bVII i", "vi ii V I"),
        drums=(
            ("kick", 0.8, ("x...x...x...x...",)),
            ("openhat", 0.35, ("..x...x...x...x.",)),
            ("clap", 0.35, ("....x.......x...",)),
            ("hat", 0.15, ("x.xxx.xxx.xxx.xx",)),
        ),
        parts=(
            Part(_BASS, ("r.8.r.8.r.8.r.8.", "r.8.5.8.r.8.5.8."), 36, 0.7, 2),
            Part(_STRINGS, ("x..x..x.........", "x.......x..x..x."), 67, 0.3, 4),
            Part(_STEEL, ("..xx..x...xx..x.",), 64, 0.25, 1),
        ),
        is_major=False,
        tilt_db=1.0,
    ),
    "hiphop": Style(
        bpm=(80, 98),
        progressions=("i i bVI bVI", "i iv i v", "i bVII i i"),
        drums=(
            ("sub", 1.0, ("x.....x...x.....", "x..x......x..x..")),
            ("snare", 0.55, ("....x.......x...",)),
            ("hat", 0.12, ("x.x.x.xxx.x.x.xx", "xxx.xxx.xxx.xxxx")),
        ),
        parts=(
            Part(Timbre("wave", rolloff=4.0), ("r.....r...5.....", "r..r......r.5..."), 31, 0.7, 5),
            Part(_EPIANO, ("x...........o...", "x.....x........."), 53, 0.2, 8),
        ),
        is_major=False,
        wet=0.05,
        tilt_db=-3.0,
    ),
    "jazz": Style(
        bpm=(116, 180),
        swing=0.15,
        progressions=("ii7 V7 I7 vi7", "I7 vi7 ii7 V7", "iii7 vi7 ii7 V7"),
        drums=(
            ("ride", 0.5, ("x...x.x.x...x.x.", "x...x.o.x...x.o.")),
            ("hat", 0.1, ("....x.......x...",)),
            ("kick", 0.12, ("x...............",)),
        ),
        parts=(
            Part(_UPRIGHT, ("r...w...5...w...", "r...3...w...w..."), 38, 0.9, 4),
            Part(_EPIANO, ("..x.......x.....", "x.....x.........", "......x.......o."), 55, 0.3, 4),
            Part(_HORN, ("l...l.l.....l.l.", "..l.l.l.l...l..."), 65, 0.4, 3),
        ),
        wet=0.3,
        room_s=0.2,
        tilt_db=0.5,
    ),
    "metal": Style(
        bpm=(140, 190),
        progressions=("i5 i5 bVI5 bVII5", "i5 bII5 i5 v5", "i5 i5 bIII5 bII5"),
        drums=(
            ("kick", 0.7, ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx")),
            ("snare", 0.6, ("....x.......x...", "..x...x...x...x.")),
            ("crash", 0.2, ("x.......x.......",)),
        ),
        parts=(
            Part(_HIGH_GAIN, ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx"), 40, 0.55, 2),
            Part(_HIGH_GAIN, ("x.......x.......",), 52, 0.3, 8),
            Part(_BASS, ("rrrrrrrrrrrrrrrr",), 28, 0.4, 1),
        ),
        is_major=False,
        wet=0.05,
        tilt_db=1.5,
    ),
    "pop": Style(
        bpm=(98, 124),
        progressions=("I V vi IV", "vi IV I V", "I vi IV V"),
        drums=(
            ("kick", 0.6, ("x.......x.......", "x.....x.x.......")),
            ("clap", 0.5, ("....x.......x...",)),
            ("hat", 0.25, ("x.x.x.x.x.x.x.x.",)),
        ),
        parts=(
            Part(_SAW, ("r.r.r.r.r.r.r.r.",), 36, 0.35, 2),
            Part(dataclasses.replace(_SAW, attack_s=0.05), ("x...............",), 60, 0.35, 16),
            Part(dataclasses.replace(_HORN, vibrato_cents=40), ("l..l..l.l.......", "l.l...l...l.l..."), 72, 0.5, 4),
        ),
        wet=0.25,
        room_s=0.2,
        tilt_db=-0.7,
    ),
    "reggae": Style(
        bpm=(68, 84),
        progressions=("I IV I IV", "i bVII i bVII", "I vi ii V"),
        drums=(
            ("kick", 0.7, ("........x.......",)),
            ("rim", 0.5, ("........x.......", "......o.x.....o.")),
            ("hat", 0.1, ("x.o.x.o.x.o.x.o.",)),
        ),
        parts=(
            Part(Timbre("wave", rolloff=2.6), ("r..r5...r..35...", "r...r.3.5.....3."), 33, 0.95, 3),
            Part(Timbre("wave", rolloff=1.5, odd_only=True), ("....x.......x...", "..x...x...x...x."), 60, 0.4, 1),
        ),
        swing=0.05,
        wet=0.35,
        room_s=0.3,
        tilt_db=-1.0,
    ),
    "rock": Style(
        bpm=(108, 140),
        tilt_db=0.7,
        progressions=("I5 IV5 V5 IV5", "i5 bVII5 IV5 i5", "I5 V5 IV5 IV5"),
        drums=(
            ("kick", 0.8, ("x.....x.x.......", "x.x.....x.x.....")),
            ("snare", 0.8, ("....x.......x...",)),
            ("openhat", 0.25, ("x.x.x.x.x.x.x.x.",)),
        ),
        parts=(
            Part(_CRUNCH, ("x.x.x.x.x.x.x.x.", "x..x..x.x..x..x."), 45, 0.8, 3),
            Part(_BASS, ("r.r.r.r.r.r.r.r.",), 33, 0.5, 2),
            Part(dataclasses.replace(_CRUNCH, drive=5), ("........l.l.l...", "................"), 64, 0.3, 4),
        ),
    ),
}
