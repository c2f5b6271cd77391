"""Soft labels: made from frozen features, out of fold; what is refused; what they do to batches."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tiny import TABLES, tiny_cache

from edgegenre.cli import main
from edgegenre.data.feature_cache import NO_SPLIT, save_cache
from edgegenre.models import ModelConfig, build
from edgegenre.train import TrainOptions, train
from edgegenre.train.batches import Batches, SoftTargets
from edgegenre.train.frozen.feature_teacher import out_of_fold, regress
from edgegenre.train.frozen.features import Equalizer, frozen_features
from edgegenre.train.frozen.soft_labels import SoftLabels, load_soft_labels, save_soft_labels, soft_labels_of
from edgegenre_runtime.errors import DataError, UsageError

LABELS = ("high", "low", "middle")
SOFT = SoftLabels(LABELS, ("0.wav", "b"), np.float32([[0.5, 0.25, 0.25], [0, 0, 1]]), {"command": "by hand"})


def unlabeled(n_tracks=6):
    cache = tiny_cache(n_tracks, seed=7)
    names = tuple(f"u{i}" for i in range(n_tracks))
    split = np.full(n_tracks, NO_SPLIT, np.uint8)
    return dataclasses.replace(cache, names=names, labels=("unlabeled",), y=np.zeros_like(cache.y), split=split)


def test_soft_labels_survive_a_file(tmp_path):
    save_soft_labels(SOFT, tmp_path / "soft.npz")
    again = load_soft_labels(tmp_path / "soft.npz")
    assert (again.labels, again.names, again.about) == (SOFT.labels, SOFT.names, SOFT.about)
    np.testing.assert_array_equal(again.probabilities, SOFT.probabilities)


@pytest.mark.parametrize(
    "spoiled",
    [
        dataclasses.replace(SOFT, probabilities=np.float32([[0.5, 0.25, 0.5], [0, 0, 1]])),
        dataclasses.replace(SOFT, probabilities=np.float32([[1.5, -0.5, 0], [0, 0, 1]])),
        dataclasses.replace(SOFT, names=("b", "b")),
        dataclasses.replace(SOFT, labels=("high", "low")),
    ],
)
def test_damaged_soft_labels_are_refused(tmp_path, spoiled):
    save_soft_labels(spoiled, tmp_path / "soft.npz")
    with pytest.raises(DataError, match="damaged"):
        load_soft_labels(tmp_path / "soft.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("text.npz", "missing.npz"):
        with pytest.raises(DataError, match=name):
            load_soft_labels(tmp_path / name)


def test_rows_are_found_by_name_and_missing_ones_named():
    cache = tiny_cache()
    np.testing.assert_array_equal(soft_labels_of(SOFT, cache, np.array([0]), LABELS), SOFT.probabilities[:1])
    with pytest.raises(UsageError, match=r"2 of 3 tracks, first 4\.wav"):
        soft_labels_of(SOFT, cache, np.array([0, 4, 5]), LABELS)
    with pytest.raises(UsageError, match="the data set has"):
        soft_labels_of(SOFT, cache, np.array([0]), LABELS[::-1])


def test_a_track_is_judged_by_a_regression_that_never_saw_its_artist():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    groups = np.array([f"artist {i // 4}" for i in range(60)])
    features = rng.normal(size=(60, 4)).astype(np.float32)
    honest = out_of_fold(features, y, groups, 1e6).argmax(axis=1) == y
    own_group = np.concatenate([features, np.eye(60, dtype=np.float32)], axis=1)
    assert regress(own_group, y, own_group, 1e6).argmax(axis=1).tolist() == y.tolist()
    assert honest.mean() < 0.75  # noise says nothing about tracks that were left out
    assert (out_of_fold(own_group, y, groups, 1e6).argmax(axis=1) == y).mean() < 0.75


def test_frozen_features_are_what_the_head_sees():
    cache, network = tiny_cache(), build(ModelConfig("cnn", 3)).eval()
    found = frozen_features(network, cache, TABLES)
    assert found.shape == (12, network.stages()[-1][1].in_features)
    assert not network.stages()[-1][1]._forward_pre_hooks
    labels = cache.y[:6]
    assert (regress(found[:6], labels, found[6:], 1.0).argmax(axis=1) == cache.y[6:]).all()


def test_the_equalizer_goes_part_of_the_way_and_keeps_the_level():
    cache = tiny_cache()
    tilted = np.clip(cache.track(0) + 20 * np.arange(128)[:, None], -32768, 32767).astype(np.int16)
    half, full = (Equalizer(cache, np.arange(12), share)(tilted) for share in (0.5, 1.0))
    target = np.mean([cache.track(i).mean(axis=1) for i in range(12)], axis=0)

    def slope(frames):
        return np.polyfit(np.arange(128), frames.mean(axis=1) - target, 1)[0]

    assert slope(half) == pytest.approx(slope(tilted) / 2, rel=0.2)
    assert abs(slope(full)) < 0.2 * abs(slope(tilted))
    assert half.mean() == pytest.approx(tilted.mean(), abs=1)


def test_batches_hold_both_kinds_of_tracks_with_their_targets():
    cache, other = tiny_cache(), unlabeled()
    tracks = cache.tracks_of("train")
    soft = SoftTargets(np.full((len(tracks), 3), 1 / 3, np.float32), other, np.eye(3, dtype=np.float32)[[0] * 5 + [1]])
    options = TrainOptions(batch_size=8, crops_per_track=4, soft_weight=0.6, unlabeled_share=0.25)
    batches = Batches(cache, tracks, TABLES, options, soft)
    windows, targets = batches[0]
    assert len(batches) == len(tracks) * 4 // 6
    assert windows.shape == (8, 1, 128, 128)
    np.testing.assert_allclose(np.sort(targets[:6].numpy(), axis=1), [[0.2, 0.2, 0.6]] * 6, atol=1e-6)
    assert set(targets[6:].argmax(dim=1).tolist()) <= {0, 1}
    np.testing.assert_array_equal(batches[0][0], windows)
    assert soft.chances()[5] > soft.chances()[0]
    batches.epoch = 1
    assert not np.array_equal(batches[0][0], windows)


def test_a_run_learns_from_soft_labels_alone_and_validates_on_two_sets(tmp_path):
    cache = tiny_cache()
    tracks = cache.tracks_of("train")
    turned = np.eye(3, dtype=np.float32)[(cache.y[tracks] + 1) % 3]
    options = TrainOptions(epochs=12, crops_per_track=8, batch_size=8, soft_weight=1.0, learning_rate=5e-3)
    soft = SoftTargets(turned, None, turned[:0])
    other = dataclasses.replace(cache, y=(cache.y + 1) % 3)
    result = train(
        cache, TABLES, ModelConfig("cnn", 3, 0.0), options, tmp_path, about={}, soft=soft, also_validate=[other]
    )
    answers = result.valid.probabilities.argmax(axis=1)
    assert (answers == (result.valid.truth + 1) % 3).mean() > 0.6
    history = json.loads((tmp_path / "history.json").read_text())
    means = [(row["valid_accuracy"] + row["valid_accuracy_2"]) / 2 for row in history]
    assert means[result.best_epoch] == max(means)
    assert [row["valid_accuracy"] for row in history] != [row["valid_accuracy_2"] for row in history]


def test_the_commands(tmp_path, capsys):
    save_cache(tiny_cache(30), tmp_path / "tiny.npz")
    save_cache(unlabeled(), tmp_path / "u.npz")
    weights = Path("tests/golden")  # not a file of weights
    data, out = str(tmp_path / "tiny.npz"), str(tmp_path / "soft.npz")
    assert main(["soft-labels", data, "--network", "cnn", "--out", out]) == 2
    assert "MODEL=WEIGHTS" in capsys.readouterr().err
    assert main(["soft-labels", data, "--network", f"cnn={weights}", "--out", out]) == 2
    assert main(["train", data, "--unlabeled", str(tmp_path / "u.npz"), "--out", str(tmp_path / "run")]) == 2
    assert "--soft-labels" in capsys.readouterr().err
    run = str(tmp_path / "run")
    teach = ["train", data, "--epochs", "1", "--crops", "1", "--logger", "none"]
    assert main([*teach, "--out", run]) == 0
    asked = ["--network", f"cnn={run}/best.safetensors", "--equalized", f"cnn={run}/best.safetensors"]
    more = ["--unlabeled", str(tmp_path / "u.npz")]
    assert main(["soft-labels", data, *asked, *more, "--spec", "wide9s", "--out", out]) == 0
    assert "36 tracks" in capsys.readouterr().out
    assert len(load_soft_labels(Path(out)).names) == 36
    student = ["--soft-labels", out, *more, "--also-validate", data, "--out", str(tmp_path / "student")]
    assert main([*teach, "--weights", f"{run}/best.safetensors", "--keep-head", *student]) == 0
    assert "newly initialized: nothing" in capsys.readouterr().out
