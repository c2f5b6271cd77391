"""What commands do when they cannot write: one line, exit code 2, and nothing half-written left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny_cache

from edgegenre.data.feature_cache import save_cache

SCRIPT = """
import resource, sys
max_bytes = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
from edgegenre.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: object, max_bytes: int, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file longer than ``max_bytes``, as on a disk that fills up meanwhile."""
    command = [sys.executable, "-c", SCRIPT, str(max_bytes), *map(str, arguments)]
    output = subprocess.PIPE if stdout is None else stdout
    return subprocess.run(command, check=False, text=True, timeout=300, stdout=output, stderr=subprocess.PIPE)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_rendering_and_caching(toy_folder: Path, tmp_path: Path) -> None:
    for arguments in (
        ["data", "piece", "disco", "--out", tmp_path / "p.wav"],
        ["data", "toy", tmp_path / "toy", "--clips", 1],
        ["data", "prepare", toy_folder, "--out", tmp_path / "c.npz"],
    ):
        done = run(*arguments, max_bytes=100_000)
        assert done.returncode == 2, done.stderr
        assert done.stderr.strip().splitlines()[1:] == []
        assert "cannot write (file too large)" in done.stderr
        assert files_below(tmp_path) == []


def test_training_keeps_the_files_that_are_whole(tmp_path: Path) -> None:
    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    out = tmp_path / "run"
    options = ["--out", out, "--epochs", 2, "--crops", 2, "--batch-size", 4, "--logger", "none"]
    done = run("train", tmp_path / "tiny.npz", *options, max_bytes=900_000)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().endswith("last.safetensors: cannot write (file too large)")
    assert done.stderr.count("\n") == 1
    assert files_below(out) == ["best.json", "best.safetensors", "history.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_standard_output_on_a_full_disk(option: str) -> None:
    with open("/dev/full", "w") as full:
        done = run(option, max_bytes=100_000, stdout=full.fileno())
    assert done.returncode == 2
    assert done.stderr == "edgegenre: standard output: no space left on device\n"


def test_a_reader_that_has_read_enough(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run("--help", max_bytes=100_000, stdout=writer)
    os.close(writer)
    assert done.stderr == ""
