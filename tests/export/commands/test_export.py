"""``edgegenre export`` as a person types it: what is wrong is one line, and the bundle that was there stays."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import textures
from signed import make_key
from torch import nn

from edgegenre.checkpoint import load_checkpoint, save_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import FeatureCache, load_cache, save_cache
from edgegenre_export.convert import stage as convert
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.silence import converter
from edgegenre_runtime.frontend import FLOOR_Q9, FrontendSpec, released
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.signature import read_public_keys

TABLES = released("wide9s")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A bundle that is there before."""
    return write_bundle(tmp_path / "b", {"model_int8.tflite": b"old"}, tables=TABLES, labels=["a", "b"], about={})


def only_the_old_one_is_there(out: Path) -> None:
    assert [path.name for path in out.parent.iterdir() if path.name.startswith((".", "b"))] == ["b"]
    assert read_bundle(out).read("model_int8.tflite") == b"old"


def refused(capsys, out: Path, words: str, *arguments: object) -> None:
    code = main(["export", *(str(a) for a in arguments), "--out", str(out)])
    err = capsys.readouterr().err
    assert code == 2, err
    assert re.search(words, err), err
    assert err.strip().count("\n") == 0
    only_the_old_one_is_there(out)


def changed(cache: Path, tmp_path: Path, change) -> Path:
    path = tmp_path / "changed.npz"
    save_cache(change(load_cache(cache, TABLES)), path)
    return path


def without_training(cache: FeatureCache) -> FeatureCache:
    return dataclasses.replace(cache, split=np.full_like(cache.split, 2))


def one_class(cache: FeatureCache) -> FeatureCache:
    split = cache.split.copy()
    split[(split == 0) & (cache.y != 1)] = 3
    return dataclasses.replace(cache, split=split)


def silent(cache: FeatureCache) -> FeatureCache:
    return dataclasses.replace(cache, frames=np.full_like(cache.frames, FLOOR_Q9))


def other_classes(cache: FeatureCache) -> FeatureCache:
    return dataclasses.replace(cache, labels=("blues", "jazz", "rock"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_training, "no training tracks"),
        (one_class, r"one class \(jazz\)"),
        (silent, "silent"),
        (other_classes, "has classes blues, jazz, rock;"),
    ],
)
def test_bad_calibration_data(capsys, out, tmp_path, small_cache, small_checkpoints, change, words) -> None:
    data = changed(small_cache, tmp_path, change)
    refused(capsys, out, words, small_checkpoints[0], "--int8", "--data", data)


def test_data_of_another_front_end(capsys, out, small_cache, small_checkpoints, tmp_path) -> None:
    tables = released("seed3s")
    loaded = load_checkpoint(small_checkpoints[0])
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, dataclasses.replace(loaded, spec=tables.spec, spec_hash=tables.spec_hash))
    refused(capsys, out, "made with front-end wide9s", path, "--int8", "--data", small_cache)


def test_bad_checkpoints(capsys, out, small_cache, small_checkpoints, tmp_path) -> None:
    loaded, path = load_checkpoint(small_checkpoints[0]), tmp_path / "wrong.safetensors"
    nan = {**loaded.state, "dense.bias": np.full(256, np.nan, np.float32)}
    for bad, words in (
        (dataclasses.replace(loaded, state=nan), "NaN"),
        (dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, n_classes=4)), "3 labels but 4 outputs"),
    ):
        save_checkpoint(path, bad)
        refused(capsys, out, words, path, "--int8", "--data", small_cache)
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**about, "format_version": 3}))
    refused(capsys, out, "format 3; this edgegenre reads 1 and 2", path, "--int8", "--data", small_cache)


def test_wrong_use(capsys, out, small_cache, small_checkpoints) -> None:
    given = (small_checkpoints[0], "--data", small_cache)
    refused(capsys, out, "int4 ?.*there are: float", *given, "--recipe", "int4")
    refused(capsys, out, "choose one", *given, "--int8", "--recipe", "int8x16")
    refused(capsys, out, "--teacher has no use", *given, "--int8", "--teacher", "runs/other")
    refused(capsys, out, "name a feature cache with --data", small_checkpoints[0], "--int8")
    refused(capsys, out, "needs the training data", "--recipe", "prune50_int8")


def damaged(network: nn.Module, spec: FrontendSpec) -> bytes:
    """Stands in for a converter with a fault: one layer is rescaled."""
    broken = copy.deepcopy(network)
    broken.get_submodule("head").weight.data *= -1
    return float_tflite(broken, spec)


def test_a_damaged_conversion_is_exit_code_3(capsys, out, small_cache, small_checkpoints, monkeypatch) -> None:
    monkeypatch.setattr(convert, "float_tflite", damaged)
    command = [
        "export",
        str(small_checkpoints[0]),
        "--recipe",
        "int8x16",
        "--data",
        str(small_cache),
        "--windows",
        "12",
    ]
    code = main([*command, "--out", str(out)])
    err = capsys.readouterr().err
    assert code == 3, err
    assert "the gate rejected this export: model_int8x16.tflite" in err.splitlines()[-1]
    assert read_bundle(out).read("model_int8.tflite") == b"old"
    kept = read_bundle(out.with_name("b.rejected"))
    assert "the conversion is at fault" in kept.read("report.md").decode()
    assert "<script>" not in kept.read("card.html").decode()  # the tracks' names are hostile
    key = make_key(out.parent)
    assert main([*command, "--gate", "off", "--sign", str(key), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "gate: off" in said
    assert said.splitlines()[-1].startswith(f"{out}: signed as b, version 2")
    bundle = read_bundle(out, read_public_keys([key.with_suffix(".pub")]))
    assert bundle.manifest["gate"] == {"status": "off"}
    assert "The gate was off" in bundle.read("card.md").decode()


def test_int8x16_is_closer_than_int8(textures_checkpoint, textures_export, tmp_path) -> None:
    result = textures.export(tmp_path / "b", textures_checkpoint, recipe="int8x16")
    model_report = result.model_reports["model_int8x16.tflite"]
    assert {t.dtype for t in model_report.tensors if t.role != "constant"} == {"int16"}
    assert model_report.only("input").scale == np.float32(80 / 255)
    ours, theirs = (
        next(v for v in report.verdicts if v.artifact == name)
        for report, name in (
            (result.acceptance, "model_int8x16.tflite"),
            (textures_export.acceptance, "model_int8.tflite"),
        )
    )
    assert ours.mean_probability_difference < theirs.mean_probability_difference
    assert main(["verify", str(result.path)]) == 0


def command_of(small_checkpoints, small_cache, out: Path, extra: str = "") -> list[str]:
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{extra}from edgegenre.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["export", small_checkpoints[0], "--int8", "--data", small_cache, "--gate", "off", "--windows", "12"]
    return [sys.executable, "-c", script, *(str(a) for a in arguments), "--out", str(out)]


@pytest.mark.slow
def test_ctrl_c_in_mid_export_leaves_the_old_bundle(out, small_cache, small_checkpoints) -> None:
    command = command_of(small_checkpoints, small_cache, out)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "making model_int8.onnx" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(timeout=120) == 130
    assert rest.strip().splitlines()[-1] == "edgegenre: interrupted"
    assert "Traceback" not in rest
    only_the_old_one_is_there(out)


def swallow_an_interrupt(failure: Exception | None) -> None:
    with converter("cannot"):
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        if failure is not None:
            raise failure


@pytest.mark.parametrize("failure", [None, ValueError("of its own")])
def test_an_interrupt_that_a_converter_swallows_is_not_lost(failure: Exception | None) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits an ignored one
    try:
        with pytest.raises(KeyboardInterrupt):
            swallow_an_interrupt(failure)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_bundle(out, small_cache, small_checkpoints) -> None:
    """The kernel refuses any file above 100 kB, as a full disk would: the converters' own files among them."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    command = command_of(small_checkpoints, small_cache, out, limit)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("edgegenre: ")
    assert "Traceback" not in done.stderr
    only_the_old_one_is_there(out)
