"""The weight average: its warm-up, step by step, and that every buffer is averaged, ranges of fake quantization too."""

from __future__ import annotations

import pytest
import torch
from tiny import TABLES, tiny_cache
from torch import nn

from edgegenre.evaluate.scoring import Predictor, torch_predictor
from edgegenre.models import ModelConfig
from edgegenre.train import TrainOptions, train
from edgegenre.train.weight_average import average_decay, weight_average
from edgegenre_export.prepare.fake_quant import fake_quantize
from edgegenre_runtime.network.task import Task


def scalar() -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def test_the_decay_warms_up_to_what_was_asked_for() -> None:
    assert [average_decay(0.99, step) for step in (1, 8, 88)] == [2 / 11, 0.5, 89 / 98]
    assert average_decay(0.99, 10_000) == 0.99
    assert average_decay(0.5, 100) == 0.5


def test_the_average_of_known_weights_is_the_one_calculated_by_hand() -> None:
    network = scalar()
    average = weight_average(network, 0.25)
    seen = []
    for value in (4.0, 8.0, 16.0):
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        seen.append(float(average.module.weight.detach()))
    second = 4 * 2 / 11 + 8 * 9 / 11  # the warm-up, (1 + 1) / (10 + 1), is below 0.25
    assert seen == pytest.approx([4.0, second, second * 0.25 + 16 * 0.75])


def test_statistics_follow_and_counters_are_copied() -> None:
    network = nn.BatchNorm1d(1)
    average = weight_average(network, 0.5)
    for mean in (1.0, 2.0):
        nn.init.constant_(network.running_mean, mean)
        network.num_batches_tracked += 1
        average.update_parameters(network)
    assert float(average.module.running_mean) == pytest.approx(1 * 2 / 11 + 2 * 9 / 11)
    assert int(average.module.num_batches_tracked) == 2
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_the_ranges_of_fake_quantization_follow_too() -> None:
    """They are outside the state dict, so an average of state dicts leaves them at the first batch."""
    network = nn.Sequential(nn.Linear(1, 1))
    fake_quantize(network)
    average = weight_average(network, 0.5)
    for scale in (1.0, *[8.0] * 200):
        network(torch.tensor([[scale], [-scale]]))
        average.update_parameters(network)
    averaged = average.module[0]
    assert float(averaged.high) == pytest.approx(8.0, abs=0.01)
    assert float(averaged.low) == pytest.approx(-8.0, abs=0.01)


def test_what_training_validates_has_the_ranges_that_it_learned(tmp_path, monkeypatch) -> None:
    trained, validated = [], []

    def initialize(network: nn.Module) -> None:
        fake_quantize(network)
        trained.append(network)

    def spy(network: nn.Module, top_db: int, task: Task) -> Predictor:
        validated.append((float(network.head.high), float(trained[0].head.high)))
        return torch_predictor(network, top_db, task)

    monkeypatch.setattr("edgegenre.train.callbacks.torch_predictor", spy)
    options = TrainOptions(epochs=3, crops_per_track=4, batch_size=2, average=0.01, learning_rate=0.02)
    train(tiny_cache(), TABLES, ModelConfig("cnn", 3), options, tmp_path, about={}, initialize=initialize)
    assert len(set(validated)) == 3
    for averaged, live in validated:
        assert averaged == pytest.approx(live, rel=0.02)
