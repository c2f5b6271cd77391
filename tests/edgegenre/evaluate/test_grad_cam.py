"""Grad-CAM points at what a network hears."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from edgegenre.checkpoint import load_checkpoint
from edgegenre.cli import main
from edgegenre.evaluate.grad_cam import explain, grad_cam
from edgegenre.models import MODELS, ModelConfig, build
from edgegenre_runtime.errors import AudioError, CheckpointError, UsageError


class Ear(nn.Module):
    """Class 1 is the mean level of what a 1x1 convolution passes; class 0 is its opposite."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 0.5)

    def forward(self, x):
        mean = self.conv(x).mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_grad_cam_by_hand():
    x = torch.zeros(2, 1, 4, 4)
    x[0, 0, 1, 2] = 8.0
    seen = grad_cam(Ear().eval(), x, [1])
    expected = np.zeros((2, 4, 4))
    expected[0, 1, 2] = 8.0 * 0.5 / 16  # the map's value by the mean gradient 1 / 16
    assert seen == pytest.approx(expected)
    assert not grad_cam(Ear().eval(), x, [0]).any()  # what speaks against is cut off


def test_a_network_without_convolutions():
    with pytest.raises(CheckpointError, match="no convolution"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), torch.zeros(1, 1, 4, 4), [0])


@pytest.mark.parametrize("name", ["cnn", "temporal"])
def test_the_networks_can_be_explained_and_keep_their_hooks_to_themselves(name):
    assert name in MODELS
    network = build(ModelConfig(name, 3)).eval()
    seen = grad_cam(network, torch.rand(2, 1, 128, 128) * 80, [2])
    assert seen.shape == (2, 128, 128)
    assert (seen >= 0).all()
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("seconds", [0.5, 9.5, 20.0])
def test_a_clip_of_any_length(small_checkpoints, tmp_path, seconds):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "n.wav", rng.normal(0, 0.1, round(seconds * 22050)), 22050)
    result = explain(load_checkpoint(small_checkpoints[0]), tmp_path / "n.wav", "jazz")
    assert result.label == "jazz"
    assert result.relevance.shape == result.levels_db.shape
    assert 0 <= result.relevance.min() <= result.relevance.max() <= 1 + 1e-6
    assert result.levels_db.max() == 0
    assert result.levels_db.min() >= -80


def test_the_most_probable_class_is_explained(small_checkpoints, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "n.wav", rng.normal(0, 0.1, 220500), 22050)
    checkpoint = load_checkpoint(small_checkpoints[0])
    chosen = explain(checkpoint, tmp_path / "n.wav")
    all_of_them = [explain(checkpoint, tmp_path / "n.wav", label).probability for label in checkpoint.labels]
    assert chosen.probability == max(all_of_them)
    assert sum(all_of_them) == pytest.approx(1, abs=1e-5)


def test_wrong_input(small_checkpoints, tmp_path):
    checkpoint = load_checkpoint(small_checkpoints[0])
    soundfile.write(tmp_path / "silent.wav", np.zeros(220500), 22050)
    with pytest.raises(AudioError, match="silent"):
        explain(checkpoint, tmp_path / "silent.wav")
    with pytest.raises(UsageError, match="'polka' is unknown"):
        explain(checkpoint, tmp_path / "silent.wav", "polka")
    with pytest.raises(AudioError):
        explain(checkpoint, tmp_path / "none.wav")


def test_the_command(small_checkpoints, toy_folder, tmp_path, capsys):
    clip, out = toy_folder / "jazz" / "jazz.00000.wav", tmp_path / "e.png"
    assert main(["explain", str(clip), "--checkpoint", str(small_checkpoints[0]), "--out", str(out)]) == 0
    assert "probability" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["explain", str(clip), "--out", str(tmp_path / "no" / "e.png")]) == 2
    assert "no folder" in capsys.readouterr().err
