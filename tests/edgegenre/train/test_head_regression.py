"""A head by regression: it answers as scikit-learn's, forgets nothing of the body, and says what it cannot be."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import TABLES, tiny_cache

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.models import ModelConfig, build
from edgegenre.train.frozen.feature_teacher import fit_regression, regress_from
from edgegenre.train.frozen.features import frozen_features
from edgegenre.train.frozen.fit_head import _regression, fit_head
from edgegenre_runtime.errors import DataError

CONFIG = ModelConfig("cnn", 3, 0.0)


def fitted(cache, parts=("train",), n_classes=3):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, n_classes=n_classes)
    network = build(config).eval()
    return network, fit_head(network, config, cache, TABLES, parts, 1.0, {"command": "by hand"})


def test_the_head_is_the_regression():
    cache = tiny_cache()
    network, result = fitted(cache)
    features, train = frozen_features(network, cache, TABLES), cache.tracks_of("train")
    used = features[train].std(axis=0) > 0.01 * np.median(features[train].std(axis=0))
    regression = fit_regression(features[train][:, used], cache.y[train], 1.0)
    head = network.stages()[-1][1]
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, regression.predict_proba(features[:, used]), atol=1e-4)
    assert result.valid.track_accuracy == 1.0
    assert result.checkpoint.meta["fitted_on"] == ["train"]
    assert result.n_tracks == len(train) == result.checkpoint.meta["n_tracks"]


def test_two_classes_have_two_logits():
    cache = tiny_cache()
    two = dataclasses.replace(cache, labels=("a", "b"), y=np.minimum(cache.y, 1))
    network, result = fitted(two, n_classes=2)
    features, train = frozen_features(network, two, TABLES), two.tracks_of("train")
    head = network.stages()[-1][1]
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    wanted = fit_regression(features[train], two.y[train], 1.0).predict_proba(features)
    np.testing.assert_allclose(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), wanted[:, 1], atol=1e-4)
    assert result.valid.probabilities.shape == (6, 2)


def test_a_channel_that_is_nearly_always_silent_has_no_weight():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(30, 5)).astype(np.float32), np.arange(30) % 3
    features[:, 1], features[:, 3] = 0, 0
    features[4, 3] = 1e-4
    mean, deviation, weight, bias = _regression(features, y, 1.0)
    assert weight[:, [1, 3]].abs().max() == 0
    assert deviation.min() > 0.1
    wanted = fit_regression(features[:, [0, 2, 4]], y, 1.0).decision_function(features[:, [0, 2, 4]])
    made = (torch.from_numpy(features) - mean) / deviation @ weight.T + bias
    np.testing.assert_allclose(made.numpy(), wanted, atol=1e-4)


def test_a_regression_that_starts_at_zero_is_scikit_learns():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(60, 4)), np.minimum(np.arange(60) // 25, 2)
    features -= features.mean(axis=0)
    features /= features.std(axis=0)
    weight, bias = regress_from(np.zeros((3, 4)), features, y, 0.1)
    wanted = fit_regression(features, y, 0.1).steps[1][1]
    np.testing.assert_allclose(weight, wanted.coef_, atol=1e-3)
    np.testing.assert_allclose(bias - bias.mean(), wanted.intercept_ - wanted.intercept_.mean(), atol=1e-3)


def test_the_weaker_the_tracks_the_nearer_is_the_start():
    rng = np.random.default_rng(0)
    features, y, start = rng.normal(size=(60, 4)), np.arange(60) % 3, rng.normal(size=(3, 4))
    left = [np.abs(regress_from(start, features, y, C)[0] - start).max() for C in (1e-6, 1e-3, 1.0)]
    assert left[0] < 1e-3 < left[1] < left[2]


def test_all_parts_leave_nothing_to_validate_on():
    _, result = fitted(tiny_cache(), ("train", "valid", "test"))
    assert result.valid is None
    assert result.n_tracks == 12
    assert "valid" not in result.checkpoint.meta


def test_a_class_without_tracks_is_named():
    cache = tiny_cache()
    bare = dataclasses.replace(cache, split=np.where(cache.y == 1, 1, cache.split).astype(np.uint8))
    with pytest.raises(DataError, match="none in train for: low"):
        fitted(bare)


def test_the_command(tmp_path, capsys):
    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    from safetensors.torch import save_file

    network = build(CONFIG)
    save_file(network.state_dict(), tmp_path / "cnn.safetensors")
    options = ["--model", "cnn", "--spec", "wide9s", "--weights", str(tmp_path / "cnn.safetensors")]
    call = ["fit-head", str(tmp_path / "tiny.npz"), *options, "--out", str(tmp_path / "run"), "--inverse-penalty", "1"]
    assert main(call) == 0
    assert "fitted on 6 tracks; validation accuracy 1.000 of 6 tracks" in capsys.readouterr().out
    state = to_module(load_checkpoint(tmp_path / "run")).state_dict()
    body = [key for key in state if not key.startswith(network.head_prefix())]
    assert all(torch.equal(state[key], network.state_dict()[key]) for key in body)
    assert main(call) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*call, "--overwrite", "--all"]) == 0
    assert "fitted on 12 tracks; the validation tracks are among them" in capsys.readouterr().out
    twice = ["--weights", str(tmp_path / "cnn.safetensors")]
    prior = ["--tag-prior", "1"]  # of a network that hears no tags
    negative = ["--tag-prior", "-1"]
    for bad in (prior, negative, ["--inverse-penalty", "0"], ["--inverse-penalty", "nan"], ["--model", "none"], twice):
        assert main([*call, "--overwrite", *bad]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
