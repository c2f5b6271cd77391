"""The losses of several labels and of a hierarchy."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import TABLES, tiny_cache
from torch import nn

from edgegenre.checkpoint import load_checkpoint
from edgegenre.models import ModelConfig
from edgegenre.train import train
from edgegenre.train.losses import BinaryLoss, NodeLoss, make_loss, targets_of
from edgegenre.train.options import TrainOptions
from edgegenre_runtime.network.taxonomy import build_taxonomy

TREE = build_taxonomy(("jazz", "rock/metal", "rock/punk"))  # nodes: jazz, rock, rock/metal, rock/punk
LEAF_ROWS = [0, 2, 3]


def test_tracks_labeled_at_leaves_have_the_usual_cross_entropy():
    torch.manual_seed(0)
    logits, classes = torch.randn(16, 3), torch.randint(0, 3, (16,))
    targets = torch.eye(4)[torch.tensor(LEAF_ROWS)[classes]]
    for smoothing in (0.0, 0.1):
        weights = torch.tensor([1.0, 5.0, 2.0, 0.5])
        loss = NodeLoss(TREE.is_below, weights, smoothing)(logits, targets)
        usual = nn.CrossEntropyLoss(weights[LEAF_ROWS], label_smoothing=smoothing)(logits, torch.eye(3)[classes])
        assert loss.item() == pytest.approx(usual.item(), rel=1e-5)


def test_a_track_labeled_at_an_inner_node_teaches_the_sum_alone():
    logits = torch.tensor([[0.3, 2.0, 0.1]], requires_grad=True)
    loss = NodeLoss(TREE.is_below, torch.ones(4))(logits, torch.tensor([[0.0, 1.0, 0.0, 0.0]]))
    p = torch.softmax(logits, dim=1)[0]
    assert loss.item() == pytest.approx(-np.log((p[1] + p[2]).item()), rel=1e-6)
    loss.backward()
    gradient = logits.grad[0]
    assert gradient[0] > 0
    assert gradient[1] < 0
    assert gradient[2] < 0
    assert (gradient[1] / gradient[2]).item() == pytest.approx((p[1] / p[2]).item(), rel=1e-5)  # neither is preferred


def test_binary_loss_weights_examples_and_smooths():
    logits, targets = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    loss = BinaryLoss(torch.tensor([3.0, 9.0]))(logits, targets).item()
    assert loss == pytest.approx((3 * np.log1p(np.exp(-1)) + np.log1p(np.exp(-2))) / 2, rel=1e-6)
    smoothed = BinaryLoss(torch.ones(2), 0.2)(logits, targets)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.9, 0.1]]))
    assert smoothed.item() == pytest.approx(expected.item())


def test_classes_are_weighted_by_how_rare_they_are():
    cache = tiny_cache()
    members = np.zeros((12, 3), bool)
    members[:, 0] = True
    members[0, 1] = members[6, 2] = members[7, 2] = True  # training tracks are 0 … 2 and 6 … 8
    cache = dataclasses.replace(cache, y=np.zeros(12, np.int64), task_kind="multi", members=members)
    loss = make_loss(cache, TrainOptions())
    assert loss.positive_weights.tolist() == [0.0, 5.0, 2.0]
    assert make_loss(cache, TrainOptions(class_weights=False)).positive_weights.tolist() == [1.0, 1.0, 1.0]
    assert targets_of(cache, np.array([0, 6])).tolist() == [[1, 1, 0], [1, 0, 1]]


def test_tracks_labeled_at_an_inner_node_train_with_the_others(tmp_path):
    cache = tiny_cache(24)
    y = np.array([0, 2, 3])[cache.y]
    y[1] = 1  # a training track of which no more is known
    labels = ("high", "other", "other/low", "other/middle")
    cache = dataclasses.replace(cache, labels=labels, y=y, task_kind="hierarchy")
    options = TrainOptions(epochs=1, crops_per_track=1, batch_size=8)
    result = train(cache, TABLES, ModelConfig("cnn", 3), options, tmp_path, about={})
    saved = load_checkpoint(result.checkpoint)
    assert saved.labels == ("high", "other/low", "other/middle")
    assert saved.task.kind == "hierarchy"
    assert set(saved.task.thresholds) == {"level 1", "level 2"}
    assert saved.task.thresholds == result.task.thresholds
