"""Pruning, fake quantization and fine-tuning: smaller networks that are still read, scored and trained as any other."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import TABLES, tiny_cache
from torch import nn

from edgegenre.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, to_module
from edgegenre.evaluate.complexity import measure
from edgegenre.models import ModelConfig, build, layer_widths
from edgegenre.train.weight_average import weight_average
from edgegenre_export import FineTuning, checkpoint_network
from edgegenre_export.prepare.fake_quant import fake_quantize
from edgegenre_export.prepare.fine_tune import fine_tune
from edgegenre_export.prepare.prune import prune
from edgegenre_export.recipes import find_recipe
from edgegenre_runtime.errors import CheckpointError, ExportError, UsageError

SPEC = TABLES.spec
METRICS = {"track_accuracy": 0.5, "track_accuracy_95": [0.4, 0.6], "n_tracks": 10, "command": "x"}


def checkpoint_of(network, config) -> Checkpoint:
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    labels = tuple(f"class {i}" for i in range(config.n_classes))
    return Checkpoint(config, labels, SPEC, TABLES.spec_hash, state, {})


def trained(network, config):
    return checkpoint_network(checkpoint_of(network, config))


def tune(start, cache, recipe, folder, teachers=(), report=lambda line: None):
    network = checkpoint_network(start)
    removed = recipe.tuning.removed_macs if recipe.tuning else 0
    pruned = prune(network, removed) if removed else None
    return fine_tune(network, pruned, TABLES, recipe, FineTuning(cache, teachers, folder, 0), report)


@pytest.mark.parametrize("name", ["cnn", "compact", "resnet18", "mn04", pytest.param("vgg11", marks=pytest.mark.slow)])
def test_a_pruned_network_is_smaller_and_comes_back_from_its_checkpoint(name, tmp_path):
    config = ModelConfig(name, n_classes=5)
    torch.manual_seed(1)
    network = build(config).eval()
    smaller = prune(trained(network, config), 0.5)
    row = measure(name, smaller.network, SPEC)
    assert (smaller.macs_after, smaller.parameters_after) == (row.n_macs, row.n_parameters)
    assert 0.3 * smaller.macs_before < smaller.macs_after <= 0.5 * smaller.macs_before
    assert smaller.parameters_after < 0.8 * smaller.parameters_before
    assert layer_widths(network) == layer_widths(build(config))  # the original is as it was
    save_checkpoint(tmp_path / "small.safetensors", checkpoint_of(smaller.network, smaller.config))
    read = to_module(load_checkpoint(tmp_path / "small.safetensors"))
    x = torch.rand(2, 1, 128, 128) * 80
    with torch.inference_mode():
        assert torch.equal(read(x), smaller.network.eval()(x))
        assert read(x).shape == (2, 5)


def test_the_weakest_channels_go():
    config = ModelConfig("cnn", n_classes=3)
    network = build(config).eval()
    with torch.no_grad():
        network.get_parameter("blocks.8.weight")[::2] *= 0.01
        network.get_parameter("blocks.9.weight")[::2] *= 0.01
    kept = prune(trained(network, config), 0.3).network.get_parameter("blocks.9.weight")
    n_strong = int((kept > 0.5).sum())
    assert n_strong == 64
    assert len(kept) < 128


def test_what_cannot_be_pruned_is_refused():
    config = ModelConfig("cnn", n_classes=3)
    network = build(config).eval()
    with pytest.raises(UsageError, match="between 0 and 1"):
        prune(trained(network, config), 1.0)
    with pytest.raises(ExportError, match="too narrow"):
        prune(trained(network, config), 0.9999)


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ([["blocks.0", 1, 8]], "other layers"),
        ([["blocks.0", 1, 0]], "rows"),
        ([["blocks.0", 1]], "rows"),
        ("all", "rows"),
    ],
)
def test_widths_of_another_network_are_refused(widths, words):
    with pytest.raises(CheckpointError, match=words):
        build(ModelConfig.from_dict({"name": "cnn", "n_classes": 3, "dropout": 0.5, "widths": widths}))


def test_config_without_widths_is_written_as_before():
    config = ModelConfig("cnn", 3)
    assert config.to_dict() == {"name": "cnn", "n_classes": 3, "dropout": 0.5}
    assert ModelConfig.from_dict(config.to_dict()) == config


def rounded_by_hand(x, weight, low, high):
    """int8 arithmetic in NumPy: what a dense layer without bias gives."""
    scale = np.float32((high - low) / 255)
    zero = np.clip(-128 - np.rint(low / scale), -128, 127)
    steps = np.clip(np.rint(x / scale) + zero, -128, 127)
    scales = np.abs(weight).max(axis=1, keepdims=True) / 127
    return (steps - zero) * scale @ (np.clip(np.rint(weight / scales), -127, 127) * scales).T


def test_fake_quantization_rounds_as_int8_does():
    torch.manual_seed(0)
    layer = nn.Linear(40, 7, bias=False)
    plain = layer.state_dict()
    x = torch.randn(64, 40) * 3
    expected = rounded_by_hand(x.numpy(), layer.weight.detach().numpy(), x.min().item(), x.max().item())
    network = nn.Sequential(layer).eval()
    exact = network(x)
    fake_quantize(network)
    made = network(x)
    assert np.abs(made.detach().numpy() - expected).max() < 1e-4
    assert (made - exact).abs().max() > 1e-3
    assert layer.state_dict().keys() == plain.keys()


def test_fake_quantization_lets_gradients_pass_and_follows_the_range():
    layer = nn.Conv2d(1, 2, 3, bias=False)
    network = nn.Sequential(layer).train()
    fake_quantize(network)
    network(torch.full((1, 1, 8, 8), 4.0)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().min() > 0
    assert layer.high.item() == 4
    network(torch.full((1, 1, 8, 8), 8.0))
    assert 4 < layer.high.item() < 5


def test_the_averaged_network_of_qat_has_ranges_that_follow() -> None:
    """The epoch is chosen by the average: with the ranges of the first batch it would judge another network."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False)).train()
    fake_quantize(network)
    average = weight_average(network, decay=0.5)
    for level in (4.0, 40.0, 40.0, 40.0, 40.0):
        network(torch.full((1, 1, 8, 8), level))
        average.update_parameters(network)
    high = average.module[0].high.item()
    assert 5 < high < network[0].high.item()


@pytest.mark.parametrize("name", ["prune50_int8", "qat_int8"])
def test_fine_tuning_trains_and_leaves_a_checkpoint_of_its_own(name, tmp_path):
    cache = tiny_cache(n_tracks=24)
    config = ModelConfig("cnn", 3)
    torch.manual_seed(0)
    start = dataclasses.replace(checkpoint_of(build(config), config), labels=cache.labels)
    start = dataclasses.replace(start, meta={"data": "tiny", "metrics": {"test": METRICS}})
    recipe = find_recipe(name)
    assert recipe.tuning is not None
    recipe = dataclasses.replace(recipe, tuning=dataclasses.replace(recipe.tuning, epochs=2))
    lines: list[str] = []
    tuned = tune(start, cache, recipe, tmp_path / "run", report=lines.append)
    assert tuned.config == load_checkpoint(tmp_path / "run").config
    assert tuned.meta["tuned"]["recipe"] == name
    assert tuned.meta["data"] == "tiny"
    assert "metrics" not in tuned.meta  # those of the network before
    assert bool(tuned.config.widths) is (name == "prune50_int8")
    assert set(tuned.module.state_dict()) == set(start.state)
    assert any("epoch 2/2" in line for line in lines)
    logits = tuned.module(torch.zeros(1, 1, 128, 128))
    assert torch.isfinite(logits).all()


def test_a_teacher_teaches_instead_of_the_network_itself(tmp_path):
    cache = tiny_cache(n_tracks=24)
    config = ModelConfig("cnn", 3)
    torch.manual_seed(0)
    start = dataclasses.replace(checkpoint_of(build(config), config), labels=cache.labels)
    stubborn = {name: np.zeros_like(value) for name, value in start.state.items()}
    stubborn[next(name for name in reversed(stubborn) if name.endswith("bias"))][:] = 0, 0, 9  # the third, always
    save_checkpoint(tmp_path / "stubborn.safetensors", dataclasses.replace(start, state=stubborn))
    recipe = find_recipe("prune30_int8")
    tuning = dataclasses.replace(recipe.tuning, epochs=3, crops_per_track=8, learning_rate=1e-2, teacher_weight=1.0)
    recipe = dataclasses.replace(recipe, tuning=tuning)

    def third(*teachers):
        tuned = tune(start, cache, recipe, tmp_path / "run", teachers=teachers)
        return torch.softmax(tuned.module(torch.full((1, 1, 128, 128), 40.0)), dim=1)[0, 2].item()

    assert third() < 0.5 < third(tmp_path / "stubborn.safetensors")


@pytest.mark.parametrize("options", ["x", {"augment": 3}, {"augment": {"loudness": 1}}])
def test_a_damaged_record_of_the_augmentation_is_refused(options, tmp_path):
    config, cache = ModelConfig("cnn", 3), tiny_cache(n_tracks=24)
    start = dataclasses.replace(checkpoint_of(build(config), config), labels=cache.labels, meta={"options": options})
    with pytest.raises(UsageError, match="record of its augmentation is damaged"):
        tune(start, cache, find_recipe("qat_int8"), tmp_path)


def test_fine_tuning_on_other_classes_is_refused(tmp_path):
    config = ModelConfig("cnn", 3)
    start = checkpoint_of(build(config), config)
    with pytest.raises(UsageError, match="classes high, low, middle"):
        tune(start, tiny_cache(), find_recipe("prune30_int8"), tmp_path)
    with pytest.raises(UsageError, match="no fine-tuning"):
        tune(start, tiny_cache(), find_recipe("int8"), tmp_path)
