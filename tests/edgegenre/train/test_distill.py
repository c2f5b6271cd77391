"""Teachers: their soft targets, what is refused, and a student that takes after them."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import TABLES, tiny_cache

from edgegenre.checkpoint import load_checkpoint, save_checkpoint
from edgegenre.evaluate.scoring import score_tracks, torch_predictor
from edgegenre.models import ModelConfig
from edgegenre.train import TrainOptions, load_teachers, train
from edgegenre.train.distill import Teachers, distillation_loss
from edgegenre_runtime.errors import SpecError, UsageError
from edgegenre_runtime.frontend import released

LABELS = ("high", "low", "middle")


class Fixed(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, windows):
        return self.logits.expand(len(windows), -1)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    options = TrainOptions(epochs=2, crops_per_track=2, batch_size=4)
    return train(
        tiny_cache(), TABLES, ModelConfig("cnn", 3), options, tmp_path_factory.mktemp("teacher"), about={}
    ).checkpoint


def test_an_ensemble_is_the_mean_of_probabilities_at_the_temperature():
    teachers = Teachers([Fixed([2.0, 0.0]), Fixed([0.0, 4.0])])
    soft = teachers(torch.zeros(3, 1, 4, 4), 2.0)
    expected = (torch.softmax(torch.tensor([1.0, 0.0]), 0) + torch.softmax(torch.tensor([0.0, 2.0]), 0)) / 2
    assert soft.shape == (3, 2)
    assert torch.allclose(soft[1], expected)


def test_teachers_stay_in_eval_mode_and_learn_nothing():
    teachers = Teachers([torch.nn.Dropout(0.5), Fixed([0.0])])
    teachers.train()
    assert not any(module.training for module in teachers.modules())
    assert not any(parameter.requires_grad for parameter in teachers.parameters())


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.floats(0.5, 20))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_loss_is_zero_for_the_teacher_itself_and_positive_otherwise(logits, temperature):
    student = torch.tensor([logits])
    soft = torch.softmax(student / temperature, dim=1)
    scale = temperature**2 * 1e-5
    assert abs(float(distillation_loss(student, soft, temperature))) <= scale
    assert float(distillation_loss(student + torch.tensor([[3.0, 0.0, -3.0]]), soft, temperature)) > -scale


def test_the_loss_of_the_textbook():
    soft = torch.tensor([[0.75, 0.25]])
    loss = distillation_loss(torch.zeros(1, 2), soft, 3.0)
    assert float(loss) == pytest.approx(9 * (0.75 * np.log(1.5) + 0.25 * np.log(0.5)))


def test_no_paths_are_no_teachers():
    assert load_teachers((), TABLES, LABELS) is None


def test_a_teacher_of_another_front_end_is_refused(teacher):
    with pytest.raises(SpecError, match=r"wide9s .* the student for seed3s"):
        load_teachers([teacher], released("seed3s"), LABELS)


def test_a_teacher_of_other_classes_is_refused(teacher, tmp_path):
    checkpoint = dataclasses.replace(load_checkpoint(teacher), labels=("low", "high", "middle"))
    save_checkpoint(tmp_path / "x.safetensors", checkpoint)
    with pytest.raises(UsageError, match="low, high, middle"):
        load_teachers([tmp_path / "x.safetensors"], TABLES, LABELS)


def test_a_student_takes_after_two_teachers_and_says_so(teacher, tmp_path):
    cache = tiny_cache()
    teachers = load_teachers([teacher, teacher.parent], TABLES, LABELS)
    options = TrainOptions(epochs=3, crops_per_track=4, batch_size=8, teacher_weight=1.0)
    lines = []
    result = train(
        cache, TABLES, ModelConfig("cnn", 3), options, tmp_path, about={}, teachers=teachers, report=lines.append
    )
    assert load_checkpoint(result.checkpoint).meta["options"]["teacher_weight"] == 1.0
    assert len(lines) == 3
    predict = torch_predictor(teachers.networks[0], 80)
    assert score_tracks(predict, cache, cache.tracks_of("valid"), TABLES).n_tracks == 6
    first, last = (float(line.split("train loss ")[1].split(",")[0]) for line in (lines[0], lines[-1]))
    assert last < first


def test_teachers_of_several_labels_give_sigmoids_and_a_binary_loss():
    teachers = Teachers([Fixed([2.0, -4.0]), Fixed([0.0, 0.0])], "multi")
    soft = teachers(torch.zeros(1, 1, 2, 2), 2.0)
    expected = (torch.sigmoid(torch.tensor([1.0, -2.0])) + 0.5) / 2
    assert soft[0].tolist() == pytest.approx(expected.tolist())
    logits = torch.tensor([[0.5, 1.0]], requires_grad=True)
    distillation_loss(logits, soft, 2.0, "multi").backward()
    # the gradient of T² · BCE is T · (sigmoid(logit / T) - target), over two classes
    slope = 2.0 * (torch.sigmoid(logits.detach() / 2) - soft) / 2
    assert logits.grad[0].tolist() == pytest.approx(slope[0].tolist(), rel=1e-5)
