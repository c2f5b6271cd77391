"""Paths that cannot be used are one line and exit code 2, before anything slow is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgegenre.cli import main

LONG = "x" * 300
"""Longer than a file system's names: ``Path.is_file`` and its like may raise."""


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", LONG, "--int8"),
        ("export", f"{LONG}/best.safetensors", "--int8"),
        ("export", "--int8", "--data", f"{LONG}.npz"),
        ("export", "--recipe", "qat_int8", "--teacher", LONG),
        ("export", "--int8", "--out", LONG),
        ("export", "nothing", "--int8"),
        ("inspect", LONG),
        ("inspect", f"{LONG}.zip"),
        ("inspect", f"{LONG}.tflite"),
        ("inspect", f"{LONG}.onnx"),
        ("inspect", "nothing.tflite"),
    ],
)
def test_a_path_that_cannot_be_used(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgegenre: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("--data", "nothing.npz"), ("--recipe", "int4"), ("--int8", "--recipe", "float")]
)
def test_wrong_use_needs_no_torch(arguments: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import sys; from edgegenre.cli import main; code = main(sys.argv[1:]); "
        "print(sorted({'torch', 'onnx', 'litert_torch'} & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "export", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "[]\n"
