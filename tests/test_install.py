"""The wheel in a bare environment: base dependencies alone, as on a device."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_bench.results.result import read_result

ROOT = Path(__file__).parents[1]
SHIPPED = "from edgegenre_runtime.network.classifier import default_bundle; print(default_bundle())"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_the_packages_and_the_shipped_bundle(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "beetsplug/edgegenre.py",
        "edgegenre/py.typed",
        "edgegenre/default/temporal.safetensors",
        "edgegenre_runtime/default/manifest.json",
        "edgegenre_runtime/frontend/released/wide9s.json",
        "edgegenre_export/pipeline.py",
        "edgegenre_bench/parity/suite.py",
        "edgegenre_bench/profiles/rpi4.toml",
        "edgegenre_bench/plans/quick.toml",
        "edgegenre_bench/profiles/results/rpi4.json",
        "edgegenre_bench/results/schemas/result.schema.json",
        "edgegenre_export/c/src/mel/edgegenre_mel.c",
        "edgegenre_runtime/web/page/edgegenre.wasm",
        "edgegenre_runtime/web/page/index.html",
    ):
        assert needed in names
    assert wheel.stat().st_size < 3.7e6  # most of it are the shipped checkpoint (float32) and the two bundles
    assert not [name for name in names if name.endswith(("model_int8.c", "model_audio.tflite", "model_float.onnx"))]
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"export", "runtime", "benchmarks", "tests"}


@pytest.mark.slow
def test_bare_install_classifies_and_names_missing_extras(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    subprocess.run([binaries / "pip", "install", "--quiet", wheel], check=True, capture_output=True, timeout=500)
    song = tmp_path / "song.wav"
    soundfile.write(song, render("blues", 0, 10.0), 22050)
    for bundle in ("default", "accurate"):
        command = [binaries / "edgegenre-run", "--bundle", bundle, "--json", song]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert len(json.loads(done.stdout.splitlines()[0])["probabilities"]) == 10
    listed = subprocess.run([binaries / "pip", "list"], capture_output=True, text=True, check=True).stdout.lower()
    for heavy in ("torch", "scipy", "librosa", "tensorflow", "onnx"):
        assert f"\n{heavy}" not in listed
    done = subprocess.run([binaries / "python", "-c", SHIPPED], capture_output=True, text=True, check=True)
    for path in (Path(done.stdout.strip()), Path(done.stdout.strip()) / "model_int8.tflite"):
        shown = subprocess.run([binaries / "edgegenre", "inspect", path], capture_output=True, text=True, check=True)
        assert "MMAC" in shown.stdout or "hashes: every file" in shown.stdout
    for bundle, most_bytes in (("default", 400_000), ("accurate", 600_000)):
        page = tmp_path / f"page_{bundle}"
        subprocess.run([binaries / "edgegenre", "web", bundle, "--out", page], check=True)
        assert (page / "single.html").stat().st_size < most_bytes
    library = [binaries / "edgegenre", "library", "scan", song, "--db", tmp_path / "library.sqlite", "--workers", "1"]
    scanned = subprocess.run(library, capture_output=True, text=True, check=True)
    assert "1 classified" in scanned.stdout
    bench = [binaries / "edgegenre", "bench"]
    subprocess.run([*bench, "run", "--out", tmp_path / "r.json"], check=True)
    assert read_result(tmp_path / "r.json")["kind"] == "measured"
    for command, extra in (
        (["bench", "check", tmp_path / "r.json"], "bench"),
        (["bench", "compare", tmp_path / "r.json", tmp_path / "r.json"], "bench"),
        (["bench", "report"], "bench"),
        (["bench", "run", "--page", tmp_path / "r.html"], "bench"),
        (["library", "tag", "--db", tmp_path / "library.sqlite"], "library"),
        (["library", "report", "--db", tmp_path / "library.sqlite", "--out", "page.html"], "library-report"),
        (["train", "x"], "train"),
        (["export", "--int8"], "export"),
        (["bench", "parity", "x"], "bench"),
    ):
        done = subprocess.run([binaries / "edgegenre", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"pip install 'edgegenre[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1
