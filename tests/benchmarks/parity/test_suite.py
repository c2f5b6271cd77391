"""The parity suite on toy clips.

What agrees, and that an implementation which answers otherwise is named with its clips.
"""

import dataclasses
import json

import numpy as np
import pytest
from onnx_bundle import write_onnx_bundle

from edgegenre.checkpoint import default_checkpoint, load_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import load_cache
from edgegenre_bench.parity import suite
from edgegenre_bench.parity.suite import EXACT, exact_differ, run_suite, windows_of_cache, windows_of_clips
from edgegenre_bench.results.parity_table import format_table
from edgegenre_bench.results.result import read_result
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import released


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return GenreClassifier.load(write_onnx_bundle(tmp_path_factory.mktemp("onnx") / "b"))


@pytest.fixture(scope="module")
def windows(classifier, toy_folder):
    return windows_of_clips(audio_files([toy_folder])[::10], classifier)


def test_every_implementation_answers_alike(classifier, windows):
    rows = run_suite(windows, classifier, load_checkpoint(default_checkpoint()))
    named = {row["implementation"]: row for row in rows}
    ran = [row for row in rows if not row["why_not"]]
    tflite = {"TFLite int8, XNNPACK", "TFLite int8, reference kernels"}
    assert tflite | {"ONNX int8", "ONNX float", "torch float", "waveform model"} <= {
        row["implementation"] for row in ran
    }
    assert {name: named[name]["max_lsb"] for name in EXACT} == dict.fromkeys(EXACT, 0)
    assert named["TFLite int8, reference kernels"]["max_lsb"] <= 4
    assert named["ONNX float"]["max_lsb"] is None
    assert all(row["max_probability_difference"] < 0.2 for row in ran)
    assert {row["why_not"] for row in rows} <= {"", "tflite-micro is not installed"}


def test_an_implementation_that_answers_otherwise_is_named_with_its_clips(classifier, windows, monkeypatch):
    right = suite.run_artifact

    def rolled(*arguments, reference_kernels=False):
        outputs = right(*arguments, reference_kernels=reference_kernels)
        return np.roll(outputs, 1, axis=1) if reference_kernels else outputs

    monkeypatch.setattr(suite, "run_artifact", rolled)
    rows = run_suite(windows, classifier, load_checkpoint(default_checkpoint()))
    (row,) = (row for row in rows if row["implementation"] == "TFLite int8, reference kernels")
    assert row["clips_agree"] == 0
    assert row["changed"] == list(windows.names)
    assert f"reference kernels: {', '.join(windows.names)}." in format_table(rows, 4, 4, "toy")


def test_a_rounding_that_differs_is_a_fault(tmp_path, toy_folder, capsys, monkeypatch):
    right = suite.Reference.run

    def off(self, cells):
        return np.where(np.arange(10) == 3, right(self, cells) ^ 1, right(self, cells)).astype(np.int8)

    monkeypatch.setattr(suite.Reference, "run", off)
    clip = str(audio_files([toy_folder])[0])
    assert main(["bench", "parity", "--suite", clip, "--least", "0"]) == 1
    assert "NumPy reference network does not give the logits" in capsys.readouterr().err


@pytest.mark.slow
def test_engine_and_reference_give_xnnpacks_logits_over_real_music(tmp_path, shared_dir, monkeypatch):
    gtzan, cache = shared_dir / "data" / "gtzan", tmp_path / "gtzan.npz"
    classifier = GenreClassifier.load()
    assert main(["data", "import-logmel", str(gtzan), "--spec", classifier.tables.spec.name, "--out", str(cache)]) == 0
    windows = windows_of_cache(load_cache(cache, classifier.tables), "test", classifier)
    assert len(windows.cells) >= 1450
    kept = ("TFLite int8, XNNPACK", *EXACT)
    every = suite._implementations
    monkeypatch.setattr(suite, "_implementations", lambda *job: {name: every(*job)[name] for name in kept})
    rows = run_suite(windows, classifier, load_checkpoint(default_checkpoint()))
    assert [row["max_lsb"] for row in rows] == [0, 0, 0]
    assert exact_differ(rows) == []


def test_the_command_scores_a_cache_and_writes_a_result(tmp_path, toy_folder, capsys):
    assert main(["data", "prepare", str(toy_folder), "--spec", "seed3s", "--out", str(tmp_path / "toy.npz")]) == 0
    options = ["--part", "valid", "--least", "0", "--out", str(tmp_path / "parity.json")]
    assert main(["bench", "parity", "--data", str(tmp_path / "toy.npz"), *options]) == 0
    out = capsys.readouterr().out
    assert "windows of 10 clips, toy.npz valid" in out
    result = read_result(tmp_path / "parity.json")
    assert result["n_clips"] == 10
    assert result["rows"][0]["clips_right"] is not None
    assert json.loads((tmp_path / "parity.json").read_text())["kind"] == "parity"


def test_it_needs_clips_or_a_cache_and_not_both(capsys):
    assert main(["bench", "parity"]) == 2
    assert "give audio files, or a feature cache" in capsys.readouterr().err


def test_a_part_that_is_empty_or_of_other_classes_is_refused(classifier, small_cache):
    cache = load_cache(small_cache, released("wide9s"))
    with pytest.raises(DataError, match=r"class 'rock \$x\$', which the bundle does not have"):
        windows_of_cache(cache, "test", classifier)
    with pytest.raises(DataError, match="no tracks"):
        windows_of_cache(dataclasses.replace(cache, split=cache.split * 0), "test", classifier)


@pytest.mark.parametrize("option", [["--out", "x.json"], ["--emulate", "rpi4"]])
def test_an_option_that_means_nothing_is_refused(capsys, tmp_path, option):
    assert main(["bench", "parity", str(tmp_path), *option]) == 2
    assert f"{option[0]} needs --suite or --data" in capsys.readouterr().err
