"""``edgegenre inspect``: what it says of a bundle and of model files, with the base install alone where it can."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from onnx_bundle import SHIPPED_ONNX

from edgegenre.cli import main
from edgegenre.commands.common import model_path
from edgegenre_runtime.inspect.mediapipe_metadata import append_labels
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(default_bundle(), tmp_path / "b")


def run(capsys, *arguments):
    code = main(["inspect", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_bundle_and_its_zip_say_what_they_are(capsys, copied, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "z"), "zip", copied)
    bundle = read_bundle(copied)
    for path in (copied, archive):
        code, out, err = run(capsys, path)
        assert (code, err) == (0, "")
        assert f"{len(bundle.labels)} classes: {', '.join(bundle.labels)}" in out
        assert f"hash {bundle.spec_hash[:12]}" in out
        assert (
            "model_int8.tflite: int8 [1, 128, 128, 1], scale 0.313725501, zero point -128 → int8 [1, 10], scale" in out
        )
        assert "TFLite Micro: arena 84672 bytes" in out
        assert out.endswith("hashes: every file is what the manifest says\n")


def test_a_bundle_is_taken_by_name(capsys, copied, monkeypatch, tmp_path):
    assert run(capsys, "default")[:2] == run(capsys, default_bundle())[:2]
    monkeypatch.setenv("EDGEGENRE_BUNDLES", str(tmp_path))
    assert model_path(Path("b")) == copied
    assert model_path(Path("default")) == default_bundle()
    assert model_path(Path("nothing")) == Path("nothing")
    code, _, err = run(capsys, "nothing")
    assert code == 2
    assert "there are: accurate, b, default" in err


def test_a_changed_file_is_named_and_the_exit_code_is_1(capsys, copied):
    model = copied / "golden.npz"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    code, out, err = run(capsys, copied)
    assert code == 1
    assert "golden.npz has changed" in err
    assert err.count("\n") == 1
    assert "hashes" not in out


def test_a_tflite_with_its_tensors(capsys, copied):
    code, out, _ = run(capsys, copied / "model_int8.tflite")
    assert code == 0
    assert "CONV_2D" in out
    assert "MMAC" in out
    assert "input: int8 [1, 128, 128, 1], scale 0.313725501, zero point -128" in out
    assert "pure int8: yes" in out
    assert out.endswith("metadata: none\n")


def test_an_onnx(capsys):
    code, out, _ = run(capsys, SHIPPED_ONNX)
    assert code == 0
    assert "input: int8 [1, 1, 128, 128]" in out
    assert "pure int8: yes" in out


def test_a_float_onnx(capsys, tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / "float.onnx")
    code, out, _ = run(capsys, tmp_path / "float.onnx")
    assert code == 0
    assert "input: float32 [1, 4]" in out
    assert "pure int8: no, " in out


def test_labels_behind_a_model_without_metadata_do_no_harm(capsys, copied):
    model = copied / "model_int8.tflite"
    model.write_bytes(append_labels(model.read_bytes(), ("a", "b")))
    code, out, _ = run(capsys, model)
    assert code == 0
    assert "metadata: none" in out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.tflite", None, "No such file"),
        ("gone", None, "does not exist"),
        ("odd.tflite", b"not a model, but long enough to look like one", "not a .tflite"),
        ("odd.onnx", b"not a model", "not an .onnx"),
        ("odd.txt", b"text", "is no bundle"),
        ("odd.zip", b"text", "cannot be read"),
    ],
)
def test_what_it_cannot_read_gives_one_line(capsys, tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = run(capsys, tmp_path / name)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


BASE_ONLY = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxruntime", "tflite_micro", "litert_torch", "mediapipe", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from edgegenre.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("path", [default_bundle(), default_bundle() / "model_int8.tflite", SHIPPED_ONNX])
def test_the_base_install_is_enough_but_for_onnx(path):
    command = [sys.executable, "-c", BASE_ONLY, "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if path.suffix == ".onnx":
        assert done.returncode == 2
        assert "pip install 'edgegenre[export]'" in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert "model_int8" in done.stdout or "CONV_2D" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"model": 3},
        {"model_reports": {"model_int8.tflite": 3}},
        {"model_reports": {"model_int8.tflite": {"bytes": "x"}}},
        {"tflite_micro": {"arena_bytes": 1, "resolver": [["CONV_2D"]]}},
    ],
)
def test_a_manifest_out_of_shape_is_one_line(capsys, copied, change):
    path = copied / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    code, _, err = run(capsys, copied)
    assert code == 2
    assert "out of shape" in err
    assert err.count("\n") == 1
