"""Calibration of a checkpoint: weights, record, and what export and evaluate make of them."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgegenre.checkpoint import load_checkpoint, save_checkpoint, to_module
from edgegenre.cli import main
from edgegenre.data.builders.sounds import cache_sounds
from edgegenre.data.feature_cache import load_cache, save_cache
from edgegenre.evaluate.answers import format_rejections, measure_rejections
from edgegenre.evaluate.calibration.calibrate import calibrate
from edgegenre.evaluate.metrics.single_label import uncertain_below
from edgegenre.evaluate.run import evaluate
from edgegenre.toy.sounds import rendered_sounds
from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.music_statistics import STATISTICS
from edgegenre_runtime.errors import CheckpointError, DataError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


@pytest.fixture
def checkpoint(small_checkpoints, tmp_path):
    for ending in (".safetensors", ".json"):
        shutil.copy(small_checkpoints[0].with_suffix(ending), tmp_path / f"net{ending}")
    return tmp_path / "net.safetensors"


@pytest.fixture(scope="module")
def small_cache(small_cache, tmp_path_factory):
    """The shared one, loud enough not to be silence."""
    cache, path = load_cache(small_cache, TABLES), tmp_path_factory.mktemp("loud") / "small.npz"
    save_cache(dataclasses.replace(cache, frames=cache.frames + np.int16(6000)), path)
    return path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    path = tmp_path_factory.mktemp("sounds") / "s.npz"
    cache_sounds(path, TABLES, rendered_sounds(2, 10.0, 0), None, 0)
    return path


def test_the_temperature_goes_into_the_weights_and_answers_stay(checkpoint, small_cache):
    before, old = evaluate(checkpoint, small_cache, "valid"), load_checkpoint(checkpoint)
    result = calibrate(checkpoint, [small_cache], None, "edgegenre calibrate")
    after, new = evaluate(checkpoint, small_cache, "valid"), load_checkpoint(checkpoint)
    assert result.temperature > 1.2  # fresh networks with loud opinions are wrong
    assert np.array_equal(after.scores.window_probabilities.argmax(1), before.scores.window_probabilities.argmax(1))
    assert after.scores.track_loss < before.scores.track_loss
    assert new.meta["temperature"] == pytest.approx(result.temperature, abs=1e-3)
    assert new.meta["uncertain_below"] == pytest.approx(result.uncertain_below, abs=1e-3)
    changed = [key for key in old.state if not np.array_equal(old.state[key], new.state[key])]
    assert sorted(changed) == ["head.bias", "head.weight"]
    again = calibrate(checkpoint, [small_cache], None, "again")
    both = result.temperature * again.temperature
    assert load_checkpoint(checkpoint).meta["temperature"] == pytest.approx(both, rel=1e-3)


def test_what_was_measured_before_is_dropped(checkpoint, small_cache):
    old = load_checkpoint(checkpoint)
    save_checkpoint(checkpoint, dataclasses.replace(old, meta={"metrics": {"valid": {}}, "music_detector": {}}))
    calibrate(checkpoint, [small_cache], None, "edgegenre calibrate")
    assert {"metrics", "music_detector"}.isdisjoint(load_checkpoint(checkpoint).meta)


def test_the_detector_tells_the_music_from_the_sounds(checkpoint, small_cache, sounds):
    result = calibrate(checkpoint, [small_cache, small_cache], sounds, "edgegenre calibrate")
    assert result.detector == MusicDetector.of(load_checkpoint(checkpoint).meta["music_detector"])
    found = measure_rejections(checkpoint, evaluate(checkpoint, small_cache, "test"), small_cache, sounds)
    assert found.share > 0.8
    assert found.n_lost_windows <= found.n_windows
    assert sum(row.n for row in found.rows) == found.summary()["sound_windows"]
    text = format_rejections(found)
    assert "applause" in text
    assert f"of {found.n_right} tracks that the network has right, {found.n_lost}" in text


def test_the_commands_fit_measure_and_record(checkpoint, small_cache, sounds, capsys):
    assert main(["calibrate", str(checkpoint), str(small_cache), "--sounds", str(sounds)]) == 0
    assert "music detector fitted" in capsys.readouterr().out
    data = [str(checkpoint), str(small_cache), "--record"]
    assert main(["evaluate", *data, "--sounds", str(sounds)]) == 0
    assert "ECE of 15 bins" in capsys.readouterr().out
    assert main(["evaluate", *data, "--name", "outside", "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["answer_ece"] <= 1
    metrics = load_checkpoint(checkpoint).meta["metrics"]
    assert set(metrics) == {"test", "outside test"}
    assert 0 <= metrics["test"]["answers"]["sounds_without_genre"] <= 1
    assert list(load_checkpoint(checkpoint).meta["music_detector"]["statistics"]) == list(STATISTICS)


def test_a_data_set_without_validation_tracks_is_refused(checkpoint, small_cache, tmp_path):
    cache = load_cache(small_cache, TABLES)
    save_cache(dataclasses.replace(cache, split=np.full_like(cache.split, 2)), tmp_path / "t.npz")
    with pytest.raises(DataError, match="no validation tracks"):
        calibrate(checkpoint, [tmp_path / "t.npz"], None, "")
    save_cache(dataclasses.replace(cache, labels=("a", "b", "c")), tmp_path / "t.npz")
    with pytest.raises(DataError, match="has classes a, b, c"):
        calibrate(checkpoint, [tmp_path / "t.npz"], None, "")


def test_music_that_is_silence_is_refused(checkpoint, small_cache, sounds, tmp_path):
    cache = load_cache(small_cache, TABLES)
    save_cache(dataclasses.replace(cache, frames=np.full_like(cache.frames, -3000)), tmp_path / "t.npz")
    with pytest.raises(DataError, match="silence alone"):
        calibrate(checkpoint, [tmp_path / "t.npz"], sounds, "")


def test_a_network_whose_logits_cannot_be_scaled_is_refused(checkpoint, small_cache, monkeypatch):
    monkeypatch.setattr("edgegenre.evaluate.calibration.calibrate.logit_layer", lambda network, n: None)
    with pytest.raises(CheckpointError, match="cannot take a temperature"):
        calibrate(checkpoint, [small_cache], None, "")


def test_logits_that_are_not_the_last_layer_s_are_noticed(checkpoint, small_cache, monkeypatch):
    def shifted(one):
        network = to_module(one)
        network.register_forward_hook(lambda module, inputs, logits: logits + 5)
        return network

    monkeypatch.setattr("edgegenre.evaluate.calibration.calibrate.to_module", shifted)
    before = checkpoint.read_bytes()
    with pytest.raises(CheckpointError, match="not those of its last layer"):
        calibrate(checkpoint, [small_cache], None, "")
    assert checkpoint.read_bytes() == before


def answers(confidence, is_right):
    p = np.stack([confidence, 1 - np.asarray(confidence)], axis=1)
    return p, np.where(is_right, p.argmax(axis=1), 1 - p.argmax(axis=1))


def test_the_threshold_parts_right_from_wrong():
    set_ = answers([0.9, 0.8, 0.7, 0.65, 0.6, 0.55], [True, True, True, False, False, False])
    assert 0.65 < uncertain_below([set_], 1.0) <= 0.7
    assert uncertain_below([answers([0.9, 0.8], [True, True])], 1.0) == 0.0
    assert uncertain_below([answers([0.9, 0.8], [False, False])], 1.0) > 0.9


def test_the_threshold_costs_no_more_right_answers_than_allowed():
    sure_and_wrong = answers(np.linspace(0.52, 0.98, 100), np.arange(100) < 60)
    assert uncertain_below([sure_and_wrong], 1.0) == 0.0
    wrong_below = answers(np.linspace(0.52, 0.98, 100), np.arange(100) % 10 == 0)
    limit = uncertain_below([wrong_below], 0.2)
    confidence = wrong_below[0].max(axis=1)
    assert limit > 0
    right = np.arange(100) % 10 == 0
    assert (confidence[right] < limit).mean() <= 0.2
    both = uncertain_below([wrong_below, answers([0.9] * 10, [True] * 10)], 0.1)
    assert both == pytest.approx(limit)


@pytest.mark.parametrize("words", [["none.npz"], ["{cache}", "--sounds", "none.npz"]])
def test_what_is_missing_is_one_line(checkpoint, small_cache, capsys, words):
    given = [word.format(cache=small_cache) for word in words]
    assert main(["calibrate", str(checkpoint), *given]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert Path(checkpoint).exists()


def test_a_network_of_all_tracks_takes_over_the_calibration_of_its_twin(
    checkpoint, small_cache, sounds, tmp_path, capsys
):
    for ending in (".safetensors", ".json"):
        shutil.copy(checkpoint.with_suffix(ending), tmp_path / f"all{ending}")
    whole = tmp_path / "all.safetensors"
    assert main(["calibrate", str(whole), "--like", str(checkpoint)]) == 2
    assert "not calibrated" in capsys.readouterr().err
    result = calibrate(checkpoint, [small_cache], sounds, "edgegenre calibrate")
    assert main(["calibrate", str(whole), "--like", str(checkpoint)]) == 0
    measured, taken = load_checkpoint(checkpoint), load_checkpoint(whole)
    for key in ("temperature", "uncertain_below", "music_detector"):
        assert taken.meta[key] == measured.meta[key]
    np.testing.assert_allclose(taken.state["head.weight"], measured.state["head.weight"], rtol=1e-4)
    assert result.temperature == pytest.approx(taken.meta["temperature"], abs=1e-3)
    assert main(["calibrate", str(whole), "--like", str(checkpoint)]) == 2
    assert "already calibrated" in capsys.readouterr().err


def test_caches_and_like_exclude_each_other(checkpoint, small_cache, capsys):
    for words in ([], [str(small_cache), "--like", str(checkpoint)], ["--like", str(checkpoint), "--sounds", "s.npz"]):
        assert main(["calibrate", str(checkpoint), *words]) == 2
        assert "--like RUN alone" in capsys.readouterr().err
