"""Record what a microphone hears that is no music, from Debian packages: speech, crowds and single instruments.

    apt-get install --no-install-recommends espeak-ng flite fluidsynth timgm6mb-soundfont
    python scripts/sounds_from_packages.py work/sounds
    edgegenre data sounds work/sounds.npz --folder work/sounds

Speech is synthesized by espeak-ng and flite, and spoken by three people in Asterisk's prompts, whose packages
(asterisk-core-sounds-{en,es,ru}-g722, CC BY-SA 3.0) are downloaded and unpacked beside the sounds; a crowd is eight of
these at once; instruments are lines for one voice, played by fluidsynth with the TimGM6mb sound font. Files are
``KIND/SOURCE/NAME.wav``: a source (a voice, an instrument) is what the parts of the cache do not share.
"""

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE_HZ = 22050
SECONDS = 20.0
CLIPS = 3
FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"
TEXT = """The committee will meet again on Thursday to discuss the new timetable. Nobody had told the driver that the
bridge was closed, so he turned around and went home. Please leave your message after the tone, and do not forget your
number. In the morning it rained for three hours; in the afternoon the sun came out and the children played outside.
How much is this one, and how much are the two over there? Thank you, that is very kind of you."""
ESPEAK = ("en-us", "en-gb-scotland+f3", "de+m3", "fr+f2", "es+m5", "it+f4", "pl+m1", "pt-br+f5")
FLITE = ("awb", "kal16", "rms", "slt")
PROMPTS = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "ru": "ru_RU_f_IvrvoiceRU"}
PROGRAMS = (0, 6, 11, 16, 24, 25, 33, 40, 42, 46, 56, 57, 60, 64, 68, 71, 73, 75, 105, 110)
"""General MIDI programs, from 0: keys, organ, guitars, bass, strings, winds, banjo, fiddle."""


def main(folder: Path) -> None:
    """Write every sound below a folder."""
    rng = np.random.default_rng(0)
    voices = {f"espeak_{voice}": spoken(["espeak-ng", "-v", voice, "-w"]) for voice in ESPEAK}
    voices |= {f"flite_{voice}": spoken(["flite", "-voice", voice, "-t", TEXT, "-o"]) for voice in FLITE}
    voices |= {f"prompts_{name}": prompts(folder, name, speaker, rng) for name, speaker in PROMPTS.items()}
    for name, pcm in voices.items():
        for clip in range(CLIPS):
            write(folder / "speech" / name / f"{clip}.wav", cut(pcm, rng))
    everyone = list(voices.values())
    for source in range(12):
        for clip in range(CLIPS):
            chosen = rng.choice(len(everyone), 8, replace=False)
            write(folder / "crowd" / str(source) / f"{clip}.wav", sum(cut(everyone[i], rng) for i in chosen))
    for program in PROGRAMS:
        for clip in range(CLIPS):
            write(folder / "instrument" / f"program_{program}" / f"{clip}.wav", played(program, rng))


def spoken(command: list[str]) -> np.ndarray:
    """Return the text as a program speaks it, float64 [n]."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out.wav"
        subprocess.run([*command, str(out), *([] if "-t" in command else [TEXT])], check=True, capture_output=True)
        sound, rate_hz = soundfile.read(out)
    return soxr.resample(sound, rate_hz, RATE_HZ)


def prompts(folder: Path, name: str, speaker: str, rng: np.random.Generator) -> np.ndarray:
    """Return five minutes of a speaker's prompts in random order, float64 [n]."""
    root = folder.parent / f"{folder.name}_packages"
    sounds = root / "usr/share/asterisk/sounds" / speaker
    if not sounds.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        package = f"asterisk-core-sounds-{name}-g722"
        subprocess.run(["apt-get", "download", package], cwd=root, check=True, stdout=subprocess.DEVNULL)
        (archive,) = root.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=root, check=True)
    names = sorted(path for path in sounds.glob("*.g722") if path.stat().st_size > 16000)
    parts = [decoded(names[i]) for i in rng.permutation(len(names))[:100]]
    return np.concatenate(parts)[: 300 * RATE_HZ]


def decoded(path: Path) -> np.ndarray:
    """Return a G.722 file, float64 [n]; PyAV reads it under a name that says what it is."""
    import av

    with av.open(str(path), format="g722") as container:
        pcm = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
        rate_hz = container.streams.audio[0].rate
    return soxr.resample(pcm / 32768.0, rate_hz, RATE_HZ)


def played(program: int, rng: np.random.Generator) -> np.ndarray:
    """Return a line for one voice on a General MIDI program, float64 [n]."""
    pitches, at = [], int(rng.integers(52, 68))
    for _ in range(80):
        at += int(rng.choice([-5, -3, -2, -1, 0, 1, 2, 3, 5]))
        at = min(max(at, 45), 80)
        pitches.append(at)
    ticks = [int(rng.choice([120, 240, 240, 480])) for _ in pitches]
    track = b"\x00\xc0" + bytes([program])
    for pitch, length in zip(pitches, ticks, strict=True):
        track += b"\x00\x90" + bytes([pitch, int(rng.integers(60, 110))])
        track += bytes([0x80 | length >> 7, length & 0x7F]) + b"\x80" + bytes([pitch, 0])
    track += b"\x00\xff\x2f\x00"
    midi = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track
    with tempfile.TemporaryDirectory() as place:
        score, out = Path(place) / "score.mid", Path(place) / "out.wav"
        score.write_bytes(midi)
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-r", str(RATE_HZ), "-F", out, FONT, score], check=True, capture_output=True
        )
        sound, _ = soundfile.read(out)
    return cut(sound.mean(axis=1), rng)


def cut(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a piece of a sound from a random place, repeated where it is too short, with a peak of 1."""
    n = round(SECONDS * RATE_HZ)
    sound = np.tile(sound, -(-n // len(sound)))
    start = int(rng.integers(0, len(sound) - n + 1))
    piece = sound[start : start + n]
    return piece / max(float(np.abs(piece).max()), 1e-9)


def write(path: Path, sound: np.ndarray) -> None:
    """Write a sound with its peak at -6 dBFS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * sound / np.abs(sound).max(), RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
