"""Firmware of the whole chain: it builds, and an emulated Cortex-M gives the golden logits."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest

from edgegenre.toy.dataset import render
from edgegenre_export.package import board as board_module
from edgegenre_export.package.board import BOARDS, _piece, board_files, find_board
from edgegenre_export.package.c_sources import write_folder
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.network.blob_header import read_header
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
from edgegenre_runtime.network.golden import golden_key, read_golden
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.task import make_task

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")


@pytest.fixture(scope="module")
def shipped():
    return read_bundle(default_bundle())


def test_an_unknown_board_is_refused():
    with pytest.raises(UsageError, match="allowed are cortex-m4, cortex-m7, cortex-m55"):
        find_board("cortex-a72")


def test_a_bundle_without_the_engines_file_is_refused(shipped):
    files = {name: entry for name, entry in shipped.manifest["files"].items() if name != "net.eg"}
    bare = dataclasses.replace(shipped, manifest={**shipped.manifest, "files": files})
    with pytest.raises(BundleError, match=r"has no net\.eg"):
        board_files(bare, BOARDS[0])


def test_a_network_that_the_board_cannot_hold_is_refused():
    large = read_bundle(find_bundle("accurate"))
    with pytest.raises(UsageError, match="for the 512 KiB of mps3-an547: take cortex-m4 or cortex-m7"):
        board_files(large, find_board("cortex-m55"))


def test_the_larger_bundle_gives_its_golden_logits_too(tmp_path):
    runs_firmware(read_bundle(find_bundle("accurate")), tmp_path, BOARDS[0])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_make_run_gives_the_golden_logits(shipped, tmp_path, board):
    runs_firmware(shipped, tmp_path, board)


def runs_firmware(shipped, tmp_path, board):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    write_folder(tmp_path / "firmware", board_files(shipped, board))
    done = subprocess.run(["make", "-s", "run"], cwd=tmp_path / "firmware", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert " golden=same " in done.stdout
    genre = done.stdout.split()[0].removeprefix("genre=")
    assert genre in GenreClassifier.load().labels
    assert f"path={'helium' if board.name == 'cortex-m55' else 'dsp'}" in done.stdout


@pytest.mark.parametrize("board", [BOARDS[0], BOARDS[2]], ids=lambda board: board.name)
def test_firmware_answers_noise_where_python_does(shipped, tmp_path, monkeypatch, board):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    classifier, tables, said = GenreClassifier.load(), shipped.tables, set()
    for seed, style in enumerate(("noise", "noise that knocks", "disco", "metal")):
        n = tables.spec.window_samples
        noise = np.random.default_rng(seed).normal(0, 3000, n) * (1 if style == "noise" else np.arange(n) % 9000 < 900)
        pcm = render(style, 0, n / 22050 + 1)[:n] if style in ("disco", "metal") else noise.astype(np.int16)
        window = normalize(log_mel(pcm, tables).frames_q9, tables)
        piece = {
            "pcm": pcm[None],
            "cells": window.cells[None],
            "is_silence": np.array([window.is_silence]),
            golden_key("net.eg"): classifier.outputs(window.cells)[None],
        }
        monkeypatch.setattr(board_module, "read_golden", lambda _, piece=piece: piece)
        folder = tmp_path / style
        write_folder(folder, board_files(shipped, board))
        done = subprocess.run(["make", "-s", "run"], cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        is_music = classifier.answer_gate().hears_music(window)
        said.add(is_music)
        assert (done.stdout.split()[0] != "genre=noise") == is_music, style
    assert said == {False, True}


def test_the_golden_piece_of_firmware_is_music(shipped):
    golden = read_golden(shipped)
    tables, piece = shipped.tables, _piece(shipped, golden)
    window = normalize(log_mel(golden["pcm"][piece], tables).frames_q9, tables)
    assert GenreClassifier.load().answer_gate().hears_music(window)
    silent = {**golden, "is_silence": np.array([True, True, False])}
    assert _piece(shipped, silent) == 2


@pytest.mark.parametrize("kind", ["multi", "hierarchy"])
def test_firmware_names_every_label_or_the_path(shipped, tmp_path, kind):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    labels = shipped.labels if kind == "multi" else [f"{'ab'[i % 2]}/{label}" for i, label in enumerate(shipped.labels)]
    task = make_task(kind, labels)
    several = dataclasses.replace(shipped, task=task.with_thresholds(dict.fromkeys(task.thresholds, 0.2)))
    write_folder(tmp_path / "firmware", board_files(several, BOARDS[0]))
    done = subprocess.run(["make", "-s", "run"], cwd=tmp_path / "firmware", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    logits = np.array([int(step) for step in done.stdout.split("logits=")[1].split()[0].split(",")], np.int8)
    scale, zero_point = read_header(shipped.read("net.eg")).output_quantization
    named = several.task.named(several.task.probabilities(dequantize(logits, scale, zero_point)))
    expected = several.task.answer(named).labels
    assert done.stdout.startswith(f"genre={';'.join(expected)} logits=")
