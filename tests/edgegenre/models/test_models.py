"""The networks: shapes, budgets, published keys and counts, and groups that hold every parameter once."""

import itertools

import numpy as np
import pytest
import torch

from edgegenre.models import MODELS, ModelConfig, build, parameter_groups
from edgegenre.models.imagenet.input_scale import fold_input_scale
from edgegenre_runtime.errors import CheckpointError, UsageError

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
SMALL = sorted(set(MODELS) - {"vgg11", "vgg16"})


def shapes(name, n_classes=1000):
    with torch.device("meta"):
        network = MODELS[name](ModelConfig(name, n_classes))
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def n_parameters(name, n_classes=1000):
    running = ("running_mean", "running_var", "num_batches_tracked")
    return sum(int(np.prod(shape)) for key, shape in shapes(name, n_classes).items() if not key.endswith(running))


@pytest.mark.parametrize("name", [*SMALL, "vgg11"])
def test_logits_have_the_right_shape(name):
    network = build(ModelConfig(name, n_classes=7)).eval()
    with torch.inference_mode():
        logits = network(torch.rand(2, 1, 128, 128) * 80)
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


def test_cnn_is_the_seeds():
    network = build(ModelConfig("cnn", n_classes=10))
    convolutions = [m.weight.shape for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    dense = [m.weight.shape for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert convolutions == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3)]
    assert dense == [(256, 128), (10, 256)]
    assert network.dropout.p == 0.5
    assert sum(p.numel() for p in network.parameters()) == 288 + 64 + 18432 + 128 + 73728 + 256 + 33024 + 2570


def test_compact_has_a_norm_behind_every_convolution_and_no_activation_but_relu():
    network = build(ModelConfig("compact", n_classes=10))
    layers = [type(m).__name__ for m in network.modules() if not list(m.children())]
    assert set(layers) == {"Conv2d", "BatchNorm2d", "ReLU", "MeanPool", "Dropout", "Linear"}
    behind = {after for before, after in itertools.pairwise(layers) if before == "Conv2d"}
    assert behind == {"BatchNorm2d"}
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(conv.groups in {1, conv.in_channels} and conv.bias is None for conv in convolutions)


def test_resnet18_has_torchvisions_keys():
    expected = {"conv1.weight": (64, 1, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    n_in = 64
    for layer, n_out in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            stem = f"layer{layer}.{block}"
            expected[f"{stem}.conv1.weight"] = (n_out, n_in, 3, 3)
            expected[f"{stem}.conv2.weight"] = (n_out, n_out, 3, 3)
            norms |= {f"{stem}.bn1": n_out, f"{stem}.bn2": n_out}
            if n_in != n_out:
                expected[f"{stem}.downsample.0.weight"] = (n_out, n_in, 1, 1)
                norms[f"{stem}.downsample.1"] = n_out
            n_in = n_out
    expected |= {f"{name}.{key}": () if "num" in key else (n,) for name, n in norms.items() for key in NORM}
    assert shapes("resnet18") == expected
    assert len(expected) == 122
    assert n_parameters("resnet18") + 2 * 64 * 7 * 7 == 11_689_512  # published, with three input channels


@pytest.mark.parametrize(
    ("name", "published", "convolutions"),
    [
        ("vgg11", 132_863_336, {0: 64, 3: 128, 6: 256, 8: 256, 11: 512, 13: 512, 16: 512, 18: 512}),
        (
            "vgg16",
            138_357_544,
            {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256}
            | {17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512},
        ),
    ],
)
def test_vgg_has_torchvisions_keys(name, published, convolutions):
    expected, n_in = {}, 1
    for index, n_out in convolutions.items():
        expected[f"features.{index}.weight"] = (n_out, n_in, 3, 3)
        expected[f"features.{index}.bias"] = (n_out,)
        n_in = n_out
    for index, shape in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        expected |= {f"classifier.{index}.weight": shape, f"classifier.{index}.bias": shape[:1]}
    assert shapes(name) == expected
    assert n_parameters(name) + 2 * 64 * 3 * 3 == published


@pytest.mark.parametrize("name", SMALL)
def test_parameter_groups_hold_every_parameter_once_head_last(name):
    network = build(ModelConfig(name, n_classes=3))
    groups = parameter_groups(network)
    grouped = [id(parameter) for _, parameters in groups for parameter in parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    assert [name for name, _ in groups].count("head") == 1
    assert groups[-1][0] == "head"
    assert [len(p) for p in groups[-1][1]] == [3, 3]
    assert id(next(network.parameters())) in {id(p) for p in groups[0][1]}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_folding_the_input_scale_is_standardizing_the_input(name):
    network = build(ModelConfig(name, n_classes=4)).eval()
    db = torch.rand(2, 1, 128, 128) * 80
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    with torch.inference_mode():
        expected = norm(first((db - 40) / 20))
        fold_input_scale(network)
        inside = (norm(first(db)) - expected)[:, :, 4:-4, 4:-4]  # at the edge the padding stands for the floor
    assert inside.abs().max() < 1e-3


def test_vgg_takes_the_input_scale_into_its_first_convolution():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Conv2d(3, 3, 3))
    db = torch.rand(1, 1, 8, 8) * 80
    with torch.inference_mode():
        expected = network((db - 40) / 20)
        fold_input_scale(network)
        assert torch.allclose(network(db), expected, atol=1e-5)


def test_unknown_model_names_the_known():
    with pytest.raises(UsageError, match="cnn"):
        build(ModelConfig("vgg99", n_classes=10))


@pytest.mark.parametrize("values", [{}, {"name": "cnn"}, {"name": "cnn", "n_classes": 2, "dropout": 0.5, "x": 1}])
def test_config_of_other_keys_is_refused(values):
    with pytest.raises(CheckpointError, match="unknown or missing"):
        ModelConfig.from_dict(values)
