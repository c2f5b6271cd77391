"""Engine, interpreters and NumPy behind one interface give the same answers on the same windows."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx_bundle import write_onnx_bundle

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.network import backends, engine
from edgegenre_runtime.network.backends import load_backend
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.compiler import read_network
from edgegenre_runtime.network.interpreters import INTERPRETERS
from edgegenre_runtime.network.reference import run_reference

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def windows():
    """Twenty windows of toy music, int8 [20, 128, 128]."""
    tables = GenreClassifier.load().tables
    cells = []
    for seed, style in enumerate(("blues", "classical", "disco", "hiphop", "metal")):
        frames = log_mel(render(style, seed, 14.0), tables).frames_q9
        cells += [normalize(frames[:, at : at + 128], tables).cells for at in range(0, 64, 16)]
    return np.stack(cells)


@pytest.fixture(scope="module")
def expected(windows):
    return np.stack([GenreClassifier.load().probabilities(cells) for cells in windows])


def check_same(mine, expected):
    assert len(mine) == 20
    assert len(set(expected.argmax(axis=1))) > 2  # windows that differ
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 0.03  # kernels differ by some steps of a logit; nearer ones may change places
    assert clear.sum() >= 15
    assert np.array_equal(mine.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])
    assert np.abs(mine - expected).max() < 0.1


@pytest.fixture(scope="module")
def onnx_bundle(tmp_path_factory):
    return write_onnx_bundle(tmp_path_factory.mktemp("onnx") / "b")


def test_onnxruntime_gives_the_same_answers(monkeypatch, windows, expected, onnx_bundle):
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", "onnxruntime")
    classifier = GenreClassifier.load(onnx_bundle)
    assert classifier.backend.name == "onnxruntime"
    check_same(np.stack([classifier.probabilities(cells) for cells in windows]), expected)


@pytest.mark.slow
def test_tflite_runtime_gives_the_same_answers_in_an_environment_of_its_own(windows, expected, tmp_path):
    """It is dead since 2023 and needs NumPy 1, but it is the one that armv7 has."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime has no wheels for Python 3.12 or later")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", tmp_path / "site"]
    packages = ["tflite-runtime==2.14.0", "numpy<2", "soundfile", "soxr"]
    done = subprocess.run([*pip, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the network: {done.stderr.strip().splitlines()[-1]}")
    np.save(tmp_path / "windows.npy", windows)
    code = (
        "import sys, json, numpy as np; from edgegenre_runtime import GenreClassifier; c = GenreClassifier.load();"
        "w = np.load(sys.argv[1]); print(json.dumps([c.backend.name, [c.probabilities(x).tolist() for x in w]]))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT / 'runtime'}"}
    environment["EDGEGENRE_INTERPRETER"] = "tflite-runtime"
    command = [sys.executable, "-S", "-c", code, tmp_path / "windows.npy"]  # -S: nothing of this environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    name, probabilities = json.loads(done.stdout)
    assert name.startswith("tflite-runtime, ")
    check_same(np.array(probabilities), expected)


def test_the_first_that_is_installed_is_taken(monkeypatch, onnx_bundle):
    found = {"ai_edge_litert": True, "tflite_runtime": None, "onnxruntime": True}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found.get(name))
    if engine.load() is not None:
        assert GenreClassifier.load().backend.name.startswith("edgegenre engine, ")
    monkeypatch.setattr(engine, "load", lambda: None)  # nothing was compiled
    assert GenreClassifier.load().backend.name.startswith("ai-edge-litert, ")
    found["ai_edge_litert"] = None
    assert GenreClassifier.load(onnx_bundle).backend.name == "onnxruntime"
    assert GenreClassifier.load().backend.name == "NumPy reference"  # the shipped bundle has no ONNX
    found["onnxruntime"] = None
    assert GenreClassifier.load().backend.name == "NumPy reference"


def test_a_bundle_without_the_engines_file_runs_on_litert(tmp_path):
    folder = shutil.copytree(default_bundle(), tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["net.eg"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert GenreClassifier.load(folder).backend.name.startswith("ai-edge-litert, ")


@pytest.mark.skipif(engine.load() is None, reason="needs the compiled engine")
def test_an_engine_file_of_another_network_is_refused(tmp_path):
    folder = shutil.copytree(default_bundle(), tmp_path / "bundle")
    model = bytearray((folder / "model_int8.tflite").read_bytes())
    model[-1] ^= 1
    (folder / "model_int8.tflite").write_bytes(model)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model_int8.tflite"]["sha256"] = hashlib.sha256(model).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="compiled from another"):
        GenreClassifier.load(folder)


@pytest.mark.parametrize("name", ["engine", "reference", "ai-edge-litert"])
def test_engine_reference_and_litert_give_the_same_logits(monkeypatch, windows, name):
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", name)
    graph = read_network(read_bundle(default_bundle()).read("model_int8.tflite"))
    classifier = GenreClassifier.load()
    for cells in windows[::4]:
        assert np.array_equal(classifier.outputs(cells), run_reference(graph, cells))


@pytest.mark.parametrize(
    ("name", "says"), [("caffe", "allowed are engine, ai-edge-litert, tflite-runtime, onnxruntime, reference")]
)
def test_an_unknown_interpreter_is_refused(monkeypatch, name, says):
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", name)
    with pytest.raises(UsageError, match=says):
        GenreClassifier.load()


def test_one_that_is_named_and_missing_is_refused(monkeypatch):
    monkeypatch.setenv("EDGEGENRE_INTERPRETER", "tflite-runtime")
    monkeypatch.setitem(INTERPRETERS, "tflite-runtime", "no_such_interpreter")
    with pytest.raises(UsageError, match="pip install 'tflite-runtime'"):
        GenreClassifier.load()


class RefusalError(Exception):
    """As onnxruntime's own: of no kind that Python knows."""


def refusing(monkeypatch, name, version, error):
    def refuse(*_args, **_options):
        raise error

    monkeypatch.setenv("EDGEGENRE_INTERPRETER", name)
    monkeypatch.setattr(backends, "TfliteModel", refuse)
    monkeypatch.setattr(backends, "OnnxModel", refuse)
    monkeypatch.setattr("importlib.metadata.version", lambda _name: version)


@pytest.mark.parametrize("name", ["onnxruntime", "ai-edge-litert"])
def test_an_interpreter_older_than_the_bundle_is_named_with_both_versions(monkeypatch, name):
    bundle = read_bundle(default_bundle())
    monkeypatch.setitem(bundle.manifest["files"], "model_int8.onnx", bundle.manifest["files"]["model_int8.tflite"])
    monkeypatch.setattr(type(bundle), "read", lambda self, name: b"")
    refusing(monkeypatch, name, "0.9", RefusalError("IR version 10 is not supported\nat line 7"))
    with pytest.raises(
        BundleError, match=rf"{name} here is 0\.9, the bundle was exported with \d.*: install that"
    ) as caught:
        load_backend(bundle, 1)
    assert "\n" not in str(caught.value)
    refusing(monkeypatch, name, bundle.manifest["tools"][name], RefusalError())
    with pytest.raises(BundleError, match=r"cannot be loaded: export the bundle again$"):
        load_backend(bundle, 1)


def test_an_interpreter_that_cannot_be_imported_is_one_line(monkeypatch):
    refusing(monkeypatch, "ai-edge-litert", "2.3", ImportError("libpthread.so.7: cannot open\nmore"))
    with pytest.raises(UsageError, match=r"ai-edge-litert is installed and cannot be imported \(libpthread.so.7"):
        load_backend(read_bundle(default_bundle()), 1)
