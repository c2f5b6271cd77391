"""examples/ios as far as a machine without Xcode goes: its C on Linux, and all C compiled for iOS."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_export.package.board import program_files
from edgegenre_export.package.c_sources import write_folder
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ios"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "genre_listener.h"

int main(int n_words, char **words)
{
    static float samples[480];
    const char *problem = genre_listener_start((uint32_t)atoi(words[n_words - 1])), *answer = genre_listener_answer();
    if (problem) return puts(problem), 1;
    puts(answer ? answer : "nothing yet");
    for (size_t n; (n = fread(samples, sizeof *samples, 480, stdin)) > 0;)
        for (int due = genre_listener_push(samples, n); due > 0; due--) puts(genre_listener_answer());
    answer = genre_listener_answer();
    return puts(answer ? answer : "nothing yet") < 0;
}
"""


@pytest.fixture(scope="module")
def c_folder(tmp_path_factory):
    """What `edgegenre codegen c default` writes, and the example beside it."""
    folder = tmp_path_factory.mktemp("ios") / "c"
    write_folder(folder, program_files(read_bundle(default_bundle())))
    for name in ("genre_listener.c", "genre_listener.h"):
        shutil.copy(EXAMPLE / name, folder)
    return folder


@pytest.fixture(scope="module")
def listener(c_folder):
    """The three functions with a main() for floats on standard input."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    (c_folder.parent / "main.c").write_text(MAIN)
    out, objects = c_folder.parent / "listener", c_folder.parent / "objects"
    objects.mkdir()
    engine = ["cc", *WARNINGS, "-O1", "-c", *c_folder.glob("edgegenre_*.c")]  # sanitized by scripts/test_c.sh
    subprocess.run(engine, check=True, cwd=objects)
    sanitized = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{c_folder}"]
    sources = [c_folder.parent / "main.c", c_folder / "genre_listener.c", *objects.glob("*.o")]
    subprocess.run(["cc", *WARNINGS, *sanitized, *sources, "-o", out], check=True)
    return out


def heard(listener, samples, rate_hz):
    done = subprocess.run(
        [listener, str(rate_hz)], input=samples.astype("<f4").tobytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def test_an_answer_each_second_that_is_the_networks(listener, tmp_path):
    classifier, last = GenreClassifier.load(), tmp_path / "last.wav"
    spec, n_windows = classifier.bundle.tables.spec, 0
    for style in ("metal", "classical", "blues"):
        soundfile.write(last, render(style, 0, 8.0), 22050, subtype="PCM_16")
        pcm = soundfile.read(last, dtype="int16")[0]
        first, *answers, newest = heard(listener, pcm / np.float32(32768), 22050)
        assert first == "nothing yet"
        assert len(answers) == 7
        end = (len(pcm) - spec.n_fft) // spec.hop_samples * spec.hop_samples + spec.n_fft
        soundfile.write(last, pcm[end - spec.window_samples : end], 22050)
        (window,) = classifier.predict_file(last).windows
        genres = window.probabilities
        assert newest == (max(genres, key=genres.get) if genres else window.label)
        n_windows += bool(genres)
    assert n_windows
    assert heard(listener, np.zeros(5 * 22050, np.float32), 22050)[1:] == ["silence"] * 5
    noise = np.random.default_rng(0).standard_normal(5 * 22050).astype(np.float32) / 10
    assert heard(listener, noise, 22050)[1:] == ["noise"] * 5  # of the parts of a window too


def test_other_rates_are_resampled_and_wrong_ones_refused(listener):
    noise = np.random.default_rng(0).standard_normal(4 * 48000).astype(np.float32) / 10
    for rate_hz in (8000, 11025, 16000, 44100, 48000):
        answers = heard(listener, noise[: 4 * rate_hz], rate_hz)[1:-1]
        assert len(answers) == 3, rate_hz
    done = subprocess.run([listener, "1"], input=b"", capture_output=True, text=False, check=False)
    assert done.returncode == 1
    assert b"rate" in done.stdout


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
def test_all_of_the_c_compiles_for_ios(c_folder, tmp_path):
    freestanding = ["-ffreestanding", "-nostdlibinc", f"-I{ROOT / 'runtime/c/wasm'}", f"-I{c_folder}"]
    target = ["--target=arm64-apple-ios13", "-O3", "-Wno-pass-failed"]
    for source in [c_folder / "genre_listener.c", *c_folder.glob("edgegenre_*.c")]:
        out = tmp_path / "unit.o"
        subprocess.run(["clang", *target, *WARNINGS, *freestanding, "-c", source, "-o", out], check=True)
        assert out.read_bytes()[:4] == bytes.fromhex("cffaedfe")  # Mach-O, 64 bits


def test_swift_calls_what_the_header_declares():
    swift, header = ((EXAMPLE / name).read_text("utf-8") for name in ("GenreListener.swift", "genre_listener.h"))
    for name in ("genre_listener_start", "genre_listener_push", "genre_listener_answer"):
        assert f"{name}(" in swift
        assert f"{name}(" in header
