"""Firmware of the whole chain: it builds, and an emulated Cortex-M gives the golden logits."""

import dataclasses
import shutil
import subprocess

import pytest

from edgegenre_export.package.board import BOARDS, board_files, find_board, network_header
from edgegenre_export.package.c_sources import write_folder
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle

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


def test_labels_are_c_strings(shipped):
    assert '{"a\\"b", "c\\\\d"}' in network_header(shipped.read("net.eg"), ['a"b', "c\\d"])


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
