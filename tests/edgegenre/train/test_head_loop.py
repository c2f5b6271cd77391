"""Training of heads over windows: it learns, repeats exactly, and refuses what does not fit."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny import TABLES, tiny_cache

from edgegenre.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.evaluate.models import open_model
from edgegenre.heads.checkpoint import load_head, save_head
from edgegenre.models import ModelConfig, build
from edgegenre.train.sequence_head.loop import train_head
from edgegenre.train.sequence_head.options import HeadOptions
from edgegenre_runtime.errors import CheckpointError, UsageError
from edgegenre_runtime.network.head import HEADS
from edgegenre_runtime.network.task import make_task


@pytest.fixture(scope="module")
def cache():
    return tiny_cache(n_frames=256)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    config = ModelConfig("compact", 3)
    state = {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}
    return Checkpoint(config, ("high", "low", "middle"), TABLES.spec, TABLES.spec_hash, state, {})


def run(cache, encoder, out, kind="gru", **changes):
    options = HeadOptions(kind, **{"width": 8, "memory": 4, "epochs": 12, "shifts": 2, "dropout": 0.1, **changes})
    return train_head(cache, TABLES, encoder, options, out, about={"data": "tiny"}, report=lambda line: None)


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_learns(cache, encoder, tmp_path, kind):
    result = run(cache, encoder, tmp_path, kind, learning_rate=0.02)
    assert result.valid.track_accuracy > 0.9
    history = json.loads((tmp_path / "history.json").read_text())
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    trained = load_head(tmp_path)
    assert trained.config.kind == kind
    assert trained.meta["valid"]["track_accuracy"] == pytest.approx(result.valid.track_accuracy, abs=1e-4)
    confidence = result.valid.window_probabilities.max(axis=1)
    assert 0 <= trained.meta["uncertain_below"] <= np.quantile(confidence, 0.5)  # most answers are right, and few go
    assert open_model(tmp_path).gate().uncertain_below == trained.meta["uncertain_below"]


def test_the_same_seed_gives_the_same_weights_and_a_frozen_encoder_keeps_its_own(cache, encoder, tmp_path):
    for name in ("a", "b"):
        run(cache, encoder, tmp_path / name, epochs=2)
    a, b = (load_head(tmp_path / name) for name in ("a", "b"))
    assert all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)
    kept = load_checkpoint(tmp_path / "a")
    assert all(np.array_equal(kept.state[name], encoder.state[name]) for name in encoder.state)


def test_an_encoder_with_a_rate_is_trained_too_batch_norm_statistics_aside(cache, encoder, tmp_path):
    run(cache, encoder, tmp_path, epochs=2, encoder_rate=1e-3)
    now = load_checkpoint(tmp_path).state
    changed = {name for name in now if not np.array_equal(now[name], encoder.state[name])}
    assert "features.0.0.weight" in changed
    assert not any("running" in name for name in changed)


def test_a_head_of_another_encoder_is_refused(cache, encoder, tmp_path):
    run(cache, encoder, tmp_path, epochs=1)
    state = {name: array + 1 for name, array in encoder.state.items() if "num" not in name}
    save_checkpoint(tmp_path / "best.safetensors", dataclasses.replace(encoder, state=state))
    with pytest.raises(CheckpointError, match="another encoder"):
        load_head(tmp_path)


def test_numbers_that_make_no_head_are_refused():
    for changes in ({"width": 6}, {"memory": 0}, {"encoder_rate": 1.0}, {"shifts": 0}, {"dropout": 1.0}):
        with pytest.raises(UsageError, match=r"must be|at least"):
            HeadOptions("gru", **changes)


@pytest.fixture
def paths(cache, encoder, tmp_path):
    """Return a cache and a checkpoint as files."""
    save_cache(cache, tmp_path / "tracks.npz")
    save_checkpoint(tmp_path / "encoder.safetensors", encoder)
    return tmp_path / "tracks.npz", tmp_path / "encoder.safetensors"


def edgegenre(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_train_evaluate_and_record_by_command_line(capsys, paths, tmp_path):
    data, encoder = paths
    run = tmp_path / "run"
    options = ["--head", "attention", "--encoder", encoder, "--out", run, "--epochs", 6, "--learning-rate", 0.02]
    code, printed = edgegenre(capsys, "train", data, *options)
    assert code == 0, printed.err
    assert "mean over windows: validation accuracy" in printed.out
    code, printed = edgegenre(capsys, "evaluate", run, data, "--part", "valid", "--json", "--record")
    assert code == 0, printed.err
    found = json.loads(printed.out)
    assert found["track_accuracy"] == load_head(run).meta["valid"]["track_accuracy"]
    assert load_head(run).meta["metrics"]["valid"]["track_accuracy"] == found["track_accuracy"]
    code, printed = edgegenre(capsys, "evaluate", run, data, "--part", "valid", "--with", encoder)
    assert (code, printed.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--head", "gru"], "--head needs --encoder RUN"),
        (["--head", "lstm", "--encoder", "ENCODER"], "head 'lstm' is unknown; there are: mean, attention, gru"),
        (["--encoder", "ENCODER"], "--encoder is for a head: add --head"),
        (["--head", "gru", "--encoder", "ENCODER", "--model", "cnn"], "--model has no use with --head"),
        (["--head", "gru", "--encoder", "ENCODER", "--head-width", "7"], "multiple of 4"),
        (["--head", "gru", "--encoder", "missing"], "cannot read"),
    ],
)
def test_wrong_options_are_one_line_before_torch_is_imported(capsys, paths, tmp_path, options, message):
    data, encoder = paths
    options = [str(encoder) if option == "ENCODER" else option for option in options]
    code, printed = edgegenre(capsys, "train", data, *options, "--out", tmp_path / "run")
    assert (code, printed.err.count("\n")) == (2, 1)
    assert message in printed.err
    assert not (tmp_path / "run").exists()


def test_tracks_of_one_window_each_are_refused_and_some_are_told_of(capsys, paths, tmp_path):
    _, encoder = paths
    save_cache(tiny_cache(n_frames=150), tmp_path / "short.npz")
    options = ["--head", "gru", "--encoder", encoder, "--out", tmp_path / "run", "--epochs", 1]
    code, printed = edgegenre(capsys, "train", tmp_path / "short.npz", *options)
    assert (code, printed.err.count("\n")) == (2, 1)
    assert "no training track has two windows" in printed.err


def test_a_data_set_of_other_classes_is_refused(capsys, paths, tmp_path):
    _, encoder = paths
    save_cache(dataclasses.replace(tiny_cache(n_frames=256), labels=("a", "b", "c")), tmp_path / "other.npz")
    code, printed = edgegenre(capsys, "train", tmp_path / "other.npz", "--head", "gru", "--encoder", encoder)
    assert (code, printed.err.count("\n")) == (2, 1)
    assert "has classes a, b, c; the encoder has high, low, middle" in printed.err


def test_a_head_of_another_embedding_size_is_refused(capsys, cache, encoder, paths, tmp_path):
    data, _ = paths
    run(cache, encoder, tmp_path / "run", epochs=1)
    trained = load_head(tmp_path / "run")
    config = dataclasses.replace(trained.config, embedding_size=5)
    weights = {name: np.zeros(shape, np.float32) for name, shape in config.weights.items()}
    save_head(tmp_path / "run", dataclasses.replace(trained, config=config, weights=weights), encoder)
    code, printed = edgegenre(capsys, "evaluate", tmp_path / "run", data, "--part", "valid")
    assert (code, printed.err.count("\n")) == (2, 1)
    assert "takes embeddings of 5 values, the encoder gives 192" in printed.err


def test_an_encoder_of_several_labels_is_refused_before_anything_is_read(encoder, tmp_path, capsys):
    several = dataclasses.replace(encoder, task=make_task("multi", encoder.labels))
    save_checkpoint(tmp_path / "several.safetensors", several)
    line = [
        "train",
        "not there",
        "--head",
        "gru",
        "--encoder",
        tmp_path / "several.safetensors",
        "--out",
        tmp_path / "o",
    ]
    assert main([str(word) for word in line]) == 2
    assert "heads over windows are trained on encoders of one label alone" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
