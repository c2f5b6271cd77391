"""Training on toy music: it learns, keeps the best, repeats exactly, and stops with a reason."""

import dataclasses
import json

import numpy as np
import pytest

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre.data.builders.build_cache import build_cache
from edgegenre.data.feature_cache import load_cache
from edgegenre.data.sources import open_dataset
from edgegenre.data.split import split_tracks
from edgegenre.evaluate.scoring import score_tracks, torch_predictor, window_starts
from edgegenre.models import ModelConfig
from edgegenre.train import TrainOptions, train
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


@pytest.fixture(scope="module")
def cache(toy_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache") / "toy.npz"
    dataset = open_dataset(toy_folder)
    build_cache(dataset, TABLES, out, split=split_tracks(dataset, seed=0, fractions=(0.5, 0.25, 0.25)))
    return load_cache(out, TABLES)


def run(cache, out, **changes):
    options = TrainOptions(**{"epochs": 2, "crops_per_track": 2, "batch_size": 16, **changes})
    config = ModelConfig("cnn", len(cache.labels))
    return train(cache, TABLES, config, options, out, about={"data": "toy"})


@pytest.fixture(scope="module")
def result(cache, tmp_path_factory):
    return run(cache, tmp_path_factory.mktemp("run"))


def test_a_run_leaves_checkpoint_history_and_curves(result):
    folder = result.checkpoint.parent
    assert sorted(p.name for p in folder.iterdir()) == [
        "best.json",
        "best.safetensors",
        "curves.png",
        "history.json",
        "last.safetensors",
    ]
    history = json.loads((folder / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1]
    assert load_checkpoint(folder).meta["data"] == "toy"
    assert load_checkpoint(folder).meta["options"]["crops_per_track"] == 2


def test_the_kept_checkpoint_has_the_scores_it_claims(cache, result):
    checkpoint = load_checkpoint(result.checkpoint)
    predict = torch_predictor(to_module(checkpoint), 80)
    scores = score_tracks(predict, cache, cache.tracks_of("valid"), TABLES)
    claimed = checkpoint.meta["valid"]
    assert {k: scores.summary()[k] for k in ("n_tracks", "track_accuracy")} == {
        k: claimed[k] for k in ("n_tracks", "track_accuracy")
    }
    assert scores.track_loss == pytest.approx(claimed["track_loss"], abs=2e-3)
    history = json.loads((result.checkpoint.parent / "history.json").read_text())
    assert scores.track_accuracy == max(row["valid_accuracy"] for row in history)


def test_the_same_seed_gives_the_same_weights(cache, result, tmp_path):
    again = load_checkpoint(run(cache, tmp_path).checkpoint)
    first = load_checkpoint(result.checkpoint)
    assert all(np.array_equal(again.state[name], array) for name, array in first.state.items())


@pytest.mark.slow
def test_it_learns_toy_music(cache, tmp_path):
    result = run(cache, tmp_path, epochs=15, crops_per_track=4)
    assert result.valid.track_accuracy >= 0.8


def test_early_stopping_counts_epochs_without_a_better_result(cache, tmp_path):
    result = run(cache, tmp_path, epochs=8, patience=1, learning_rate=1e-9, weight_decay=0.0)
    assert result.epochs_run - 1 - result.best_epoch <= 1
    assert result.epochs_run < 8


def test_a_class_without_training_tracks_is_refused(cache, tmp_path):
    part = cache.split.copy()
    part[cache.y == 3] = 2
    with pytest.raises(DataError, match=cache.labels[3]):
        run(dataclasses.replace(cache, split=part), tmp_path)


def test_no_validation_tracks_is_refused(cache, tmp_path):
    part = np.where(cache.split == 1, 2, cache.split).astype(np.uint8)
    with pytest.raises(DataError, match="validation"):
        run(dataclasses.replace(cache, split=part), tmp_path)


def test_a_diverging_loss_stops_with_a_reason(cache, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.nn.CrossEntropyLoss, "forward", lambda self, a, b: (a * float("nan")).sum())
    with pytest.raises(UsageError, match="lower --learning-rate"):
        run(cache, tmp_path)


@pytest.mark.parametrize("values", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}])
def test_options_outside_what_is_allowed(values):
    with pytest.raises(UsageError):
        TrainOptions(**values)


def test_windows_cover_a_track_by_halves():
    assert window_starts(128, 128) == [0]
    assert window_starts(50, 128) == [0]
    assert window_starts(321, 128) == [0, 64, 128, 192]
