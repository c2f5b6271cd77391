"""Firmware of the whole chain: it builds, and an emulated Cortex-M gives the golden logits."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest

from edgegenre_export.package.board import BOARDS, board_files, find_board
from edgegenre_export.package.c_sources import write_folder
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.blob_header import read_header
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
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


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_make_run_gives_the_golden_logits(shipped, tmp_path, board):
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
