"""``edgegenre verify`` on the shipped bundle, whole and tampered with."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgegenre.cli import main
from edgegenre_runtime.frontend import native
from edgegenre_runtime.network.classifier import default_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def put(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash: what an honest but different export would have."""
    (bundle / name).write_bytes(content)
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    path.write_text(json.dumps(manifest))


def change_golden(bundle: Path, key: str, change) -> None:
    with np.load(bundle / "golden.npz") as archive:
        golden = {name: archive[name].copy() for name in archive.files}
    change(golden[key])
    file = io.BytesIO()
    np.savez(file, **golden)
    put(bundle, "golden.npz", file.getvalue())


def verify(capsys, bundle: Path) -> tuple[int, str, str]:
    code = main(["verify", str(bundle)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_shipped_bundle_is_as_exported(capsys, bundle: Path) -> None:
    code, out, _ = verify(capsys, bundle)
    assert code == 0
    assert out.splitlines()[-1].split() == ["verdict", "all", "as", "exported"]
    implementations = ["numpy", "c"] if native.load() is not None else ["numpy"]
    for implementation in implementations:
        assert f"front-end, {implementation}" in out
    assert "model_int8.tflite" in out
    shutil.make_archive(str(bundle), "zip", bundle)
    assert verify(capsys, bundle.with_suffix(".zip"))[0] == 0
    code, out, _ = verify(capsys, default_bundle().with_name("accurate"))
    assert code == 0
    assert "model_int8.tflite" in out


def test_a_changed_file_is_named(capsys, bundle: Path) -> None:
    with (bundle / "card.md").open("a") as file:
        file.write("better than it is")
    code, out, _ = verify(capsys, bundle)
    assert code == 1
    assert "changed: card.md" in out


def test_a_front_end_of_other_bits_differs(capsys, bundle: Path) -> None:
    def one_step(cells: np.ndarray) -> None:
        cells[1, 5, 7] += 1

    change_golden(bundle, "cells", one_step)
    code, out, _ = verify(capsys, bundle)
    assert code == 1
    assert "1 of 3 pieces differ" in out


@pytest.mark.parametrize(("steps", "expected"), [(1, 0), (2, 1)])
def test_one_step_of_a_logit_is_allowed_and_two_are_not(capsys, bundle: Path, steps: int, expected: int) -> None:
    def add(logits: np.ndarray) -> None:
        logits[0, logits[0].argmin()] += steps

    change_golden(bundle, "output_model_int8_tflite", add)
    code, out, _ = verify(capsys, bundle)
    assert code == expected
    assert f"largest difference {steps} steps" in out


def test_another_answer_differs_even_within_a_step(capsys, bundle: Path) -> None:
    def tie(logits: np.ndarray) -> None:
        best = logits[0].max()
        logits[0, (logits[0].argmax() + 1) % 10] = best + 1

    change_golden(bundle, "output_model_int8_tflite", tie)
    code, out, _ = verify(capsys, bundle)
    assert code == 1
    assert "another answer" in out


def test_another_network_differs(capsys, bundle: Path) -> None:
    put(bundle, "model_int8.tflite", b"not a model")
    code, out, _ = verify(capsys, bundle)
    assert code == 1
    assert "cannot be run" in out


def test_what_cannot_be_used_is_code_2(capsys, bundle: Path, tmp_path: Path) -> None:
    assert verify(capsys, tmp_path / "nowhere")[0] == 2
    put(bundle, "golden.npz", b"PK")
    code, _, err = verify(capsys, bundle)
    assert code == 2
    assert "golden.npz" in err
    assert err.count("\n") == 1
    (bundle / "frontend.json").write_text("{}")
    assert verify(capsys, bundle)[0] == 2


def test_the_base_install_is_enough() -> None:
    """No torch, onnx or scipy is imported on the way."""
    script = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'scipy', 'librosa', 'matplotlib', 'lightning'):\n"
        "    sys.modules[name] = None\n"
        "from edgegenre.cli import main\n"
        "sys.exit(main(['verify']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
