"""The pages about embedding: their commands and programs, run as they stand there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from documentation import ROOT, blocks
from web_pages import CHROMIUM, chromium, served

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier

DOCS = ROOT / "docs"


_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of the make that runs the tests: one below it names its folders


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def shell(block, folder):
    """Run the lines of a block in a shell; returns what they printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {key: value for key, value in os.environ.items() if key not in _OF_MAKE}
    done = subprocess.run(
        ["bash", "-e", "-c", block], cwd=folder, capture_output=True, text=True, env={**inherited, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def only(page, language, at=0):
    return blocks((DOCS / page).read_text("utf-8"), language)[at]


def window_genres(song, bundle="default"):
    """The most probable genre of each window, or that it is none, as the C program has it."""
    windows = GenreClassifier.load(bundle).predict_file(song).windows
    most = (max(window.probabilities, key=window.probabilities.get, default=window.label) for window in windows)
    return [(round(window.start_s, 1), genre) for window, genre in zip(windows, most, strict=True)]


@needs("cc")
def test_the_c_program_prints_what_the_page_says_and_edgegenre_run_finds(tmp_path):
    printed = shell(only("embed_c.md", "sh"), tmp_path)
    assert printed.endswith(only("embed_c.md", "text"))
    assert printed_genres(printed) == window_genres(tmp_path / "song.wav")


@needs("cc")
def test_the_c_program_of_the_larger_bundle_prints_what_edgegenre_run_finds(tmp_path):
    commands = only("embed_c.md", "sh")
    assert "codegen c default " in commands
    printed = shell(commands.replace("codegen c default ", "codegen c accurate "), tmp_path)
    assert printed_genres(printed) == window_genres(tmp_path / "song.wav", "accurate")


def printed_genres(printed):
    lines = [line.split(" s  ") for line in printed.splitlines() if " s  " in line]
    return [(float(at), genre) for at, genre in lines]


@needs("cc")
def test_the_c_program_says_silence_and_noise_and_refuses_what_it_cannot_read(tmp_path):
    shell("\n".join(only("embed_c.md", "sh").splitlines()[:2]), tmp_path)
    soundfile.write(tmp_path / "quiet.wav", [0.0] * 70_000, 22050)
    soundfile.write(tmp_path / "48.wav", render("disco", 0, 4.0), 48000)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 70_000), 22050)
    assert shell("./genre < quiet.wav", tmp_path) == "   0.0 s  silence\n"
    assert shell("./genre < noise.wav", tmp_path) == "   0.0 s  noise\n"
    assert [genre for _, genre in window_genres(tmp_path / "noise.wav")] == ["noise"]
    for name, sentence in (
        ("48.wav", "must be 16-bit mono PCM at the front-end's sample rate"),
        ("genre", "not a WAV"),
    ):
        with (tmp_path / name).open("rb") as given:
            done = subprocess.run([tmp_path / "genre"], stdin=given, capture_output=True, text=True)
        assert done.returncode == 1
        assert sentence in done.stderr


@needs("arm-none-eabi-gcc", "qemu-system-arm", "make")
@pytest.mark.slow
def test_the_firmware_prints_what_the_page_says(tmp_path):
    printed = shell(only("embed_microcontroller.md", "sh"), tmp_path)
    said = only("embed_microcontroller.md", "text")
    assert printed.splitlines()[-1].split(" ram=")[0] == said.strip().split(" ram=")[0]
    ram, stack = (int(word.split("=")[1]) for word in printed.split()[-2:])
    said_ram, said_stack = (int(word.split("=")[1]) for word in said.split()[-2:])
    assert ram == said_ram
    assert abs(stack - said_stack) <= 200  # compilers differ


@needs("node")
def test_the_program_for_node_gives_the_answers_of_edgegenre_run(tmp_path):
    shell(only("embed_web.md", "sh"), tmp_path)
    (tmp_path / "classify.mjs").write_text(only("embed_web.md", "js"))
    *windows, genre = shell(only("embed_web.md", "sh", 1), tmp_path).splitlines()[1:]
    answer = GenreClassifier.load().predict_file(tmp_path / "song.wav")
    assert genre == answer.label
    assert windows == [f"{window.start_s:.1f} {window.label}" for window in answer.windows]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.slow
def test_a_page_of_ones_own_gives_the_answer_of_edgegenre_run(playwright, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    shell(only("embed_web.md", "sh"), site)
    (site / "index.html").write_text(only("embed_web.md", "html"))
    soundfile.write(tmp_path / "song.wav", render("metal", 0, 6.0), 22050)
    with served(site) as port, chromium(playwright, tmp_path / "profile") as context:
        page = context.new_page()
        page.goto(f"http://localhost:{port}/index.html")
        page.set_input_files("#file", tmp_path / "song.wav")
        page.wait_for_function("document.getElementById('genre').textContent !== ''", timeout=60_000)
        found = page.text_content("#genre")
    assert found == GenreClassifier.load().predict_file(tmp_path / "song.wav").label


@pytest.mark.parametrize("page", ["embed_android.md", "embed_ios.md"])
def test_the_files_that_an_app_needs_are_made(page, tmp_path):
    shell(only(page, "sh"), tmp_path)
    made = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"edgegenre_mel.c", "edgegenre_net.c", "edgegenre_resample.c", "tables.h", "network.h"} <= made
    assert page != "embed_android.md" or {"mel.blob", "net.eg", "bundle.json"} <= made
