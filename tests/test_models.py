"""The networks: shapes, sizes, and that the input's scale does not matter to the first block."""

import pytest
import torch

from edgegenre.models import MODELS, ModelConfig, build
from edgegenre_runtime.frontend import CheckpointError, UsageError


@pytest.mark.parametrize("name", sorted(MODELS))
def test_logits_have_the_right_shape(name):
    network = build(ModelConfig(name, n_classes=7)).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 128, 128) * 80).shape == (2, 7)


def test_cnn_is_the_seeds():
    network = build(ModelConfig("cnn", n_classes=10))
    convolutions = [m.weight.shape for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    dense = [m.weight.shape for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert convolutions == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3)]
    assert dense == [(256, 128), (10, 256)]
    assert network.dropout.p == 0.5
    assert sum(p.numel() for p in network.parameters()) == 288 + 64 + 18432 + 128 + 73728 + 256 + 33024 + 2570


def test_unknown_model_names_the_known():
    with pytest.raises(UsageError, match="cnn"):
        build(ModelConfig("vgg99", n_classes=10))


@pytest.mark.parametrize("values", [{}, {"name": "cnn"}, {"name": "cnn", "n_classes": 2, "dropout": 0.5, "x": 1}])
def test_config_of_other_keys_is_refused(values):
    with pytest.raises(CheckpointError, match="unknown or missing"):
        ModelConfig.from_dict(values)
