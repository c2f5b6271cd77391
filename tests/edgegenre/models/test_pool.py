"""Attention in place of the mean over a window: it begins as the mean, is refused elsewhere, and is drawn."""

import numpy as np
import pytest
import soundfile
import torch

from edgegenre.checkpoint import Checkpoint
from edgegenre.cli import main
from edgegenre.evaluate.grad_cam import explain, plot_explanation
from edgegenre.models import ModelConfig, build, parameter_groups
from edgegenre.models.pool import AttentionPool, MeanPool
from edgegenre.toy.dataset import render
from edgegenre_runtime.errors import CheckpointError, UsageError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


@pytest.mark.parametrize("name", ["cnn", "compact"])
def test_a_network_with_attention_has_it_in_config_parameters_and_answers(name):
    config = ModelConfig(name, 3, pool="attention")
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert "pool" not in ModelConfig(name, 3).to_dict()
    network = build(config)
    assert [part for part, _ in parameter_groups(network)][-2 - (name == "cnn")] == "pool"
    given = 80 * torch.rand(2, 1, 128, 128)
    assert network(given).shape == (2, 3)
    network(given).sum().backward()
    assert network.pool.score.weight.grad.abs().max() > 0


def test_attention_begins_as_half_the_mean_and_weighs_cells_by_their_score():
    torch.manual_seed(0)
    pool, features = AttentionPool(4), torch.rand(2, 4, 3, 5)
    with torch.no_grad():
        assert pool(features) == pytest.approx(MeanPool()(features).numpy() / 2, abs=0.01)
        pool.score.weight.fill_(50.0)
        features.fill_(0.1)
        features[:, :, 1, 2] = 3.0  # the one cell whose score is above the mean
        assert pool(features) == pytest.approx(features[:, :, 1, 2].numpy() / 15, abs=0.01)


def test_pools_that_are_unknown_or_have_no_place_are_refused(capsys, tmp_path):
    with pytest.raises(UsageError, match="--pool attention is for cnn and compact"):
        build(ModelConfig("resnet18", 3, pool="attention"))
    with pytest.raises(CheckpointError, match="there are: mean, attention"):
        ModelConfig.from_dict({**ModelConfig("cnn", 3).to_dict(), "pool": "max"})
    for options, message in (
        (["--pool", "max"], "pool 'max' is unknown; there are: mean, attention"),
        (["--model", "vgg11", "--pool", "attention"], "model vgg11 pools as it was published"),
    ):
        assert main(["train", "missing.npz", *options, "--out", str(tmp_path / "run")]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


def test_explain_draws_the_attention_beside_grad_cam(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig("compact", 2, pool="attention")
    network = build(config)
    with torch.no_grad():
        network.pool.score.weight.mul_(30)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    soundfile.write(tmp_path / "song.wav", render("disco", 0, 10.0), 22050)
    found = {}
    for pool in ("attention", "mean"):
        weights = {name: array for name, array in state.items() if pool == "attention" or "pool" not in name}
        checkpoint = Checkpoint(
            ModelConfig("compact", 2, pool=pool), ("a", "b"), TABLES.spec, TABLES.spec_hash, weights, {}
        )
        found[pool] = explain(checkpoint, tmp_path / "song.wav", "a")
        plot_explanation(found[pool], "song", tmp_path / f"{pool}.png")
    attention = found["attention"].attention
    assert attention.shape == found["attention"].levels_db.shape
    assert 0 <= attention.min() < attention.max() <= 1
    assert found["mean"].attention is None
    heights = [int.from_bytes((tmp_path / f"{pool}.png").read_bytes()[20:24], "big") for pool in ("attention", "mean")]
    assert heights[0] > heights[1]
    assert np.isfinite(found["attention"].relevance).all()
