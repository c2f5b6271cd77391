"""Resampler, detector of music and the examples' WAV reader in C: any bytes, under the sanitizers."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
C = ROOT / "runtime" / "c"
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


def fuzzed(folder, c, rounds, seed):
    """Compile the fuzz target with the sources of a folder and run it; returns its exit code and what it said."""
    include = [f"-I{c / 'include'}", f"-I{c / 'examples'}"]
    sources = [ROOT / "tests/c/fuzz_sound.c", *(c / "src/audio").glob("*.c"), *(c / "src/music").glob("*.c")]
    command = ["gcc", *STRICT, *SANITIZE, "-DSTANDALONE", *include, *sources, "-o", folder / "fuzz"]
    subprocess.run(list(map(str, command)), check=True)
    run = [folder / "fuzz", str(rounds), str(seed)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_any_bytes_are_taken_or_refused(tmp_path):
    code, said = fuzzed(tmp_path, C, 240, 3)
    assert code == 0, said[-2000:]
    for sentence in ("not a WAV file", "has no samples", "must be 16-bit mono PCM"):
        assert sentence in said


MISTAKES = [
    ("src/audio/edgegenre_resample.c", "room = 2 * (size_t)r->taps", "room = 2 * (size_t)r->taps + 8"),
    ("src/audio/edgegenre_resample.c", "if (!(x - x == 0)) return 0;", ""),
    ("src/music/edgegenre_music.c", "m >= s->M ? s->M - 1 : m", "m"),
    ("src/music/edgegenre_music.c", "s->tone[k] = take(&memory, 4 * T)", "s->tone[k] = take(&memory, 5 * T)"),
    ("examples/wav_input.h", "i < n && wav_bytes_left", "i <= n && wav_bytes_left"),
]


@pytest.mark.parametrize(("file", "right", "wrong"), MISTAKES)
def test_a_mistake_is_found(tmp_path, file, right, wrong):
    c = shutil.copytree(C, tmp_path / "c")
    text = (c / file).read_text()
    assert text.count(right) == 1
    (c / file).write_text(text.replace(right, wrong))
    assert fuzzed(tmp_path, c, 240, 3)[0] != 0
