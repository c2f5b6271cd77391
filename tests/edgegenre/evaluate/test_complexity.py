"""Parameters, multiply-adds and receptive field, against figures worked out by hand or published."""

import json

import pytest
import torch
from torch import nn

from edgegenre.cli import main
from edgegenre.evaluate.complexity import format_complexity, measure
from edgegenre.models import ModelConfig, Network, build
from edgegenre_runtime.frontend import released

SPEC = released("wide9s").spec


class Toy(Network):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (3, 5), stride=2, padding=(1, 2))
        self.pool = nn.MaxPool2d(2)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.depthwise(self.pool(self.conv(x))).mean(dim=(2, 3)))

    def stages(self):
        return [("conv", self.conv), ("depthwise", self.depthwise), ("head", self.head)]


def test_a_toy_by_hand():
    row = measure("toy", Toy(), SPEC)
    assert row.n_parameters == (4 * 15 + 4) + 4 * 9 + (8 + 2)
    assert row.n_macs == 64 * 64 * 4 * 15 + 32 * 32 * 4 * 9 + 8
    assert (row.field_bands, row.field_frames) == (3 + 2 + 2 * 4, 5 + 2 + 2 * 4)
    assert row.field_s == pytest.approx((14 * 1536 + 2048) / 22050)


def test_compact_is_within_its_budget():
    row = measure("compact", build(ModelConfig("compact", 10)), SPEC)
    assert row.n_parameters <= 150_000
    assert row.n_macs <= 25_000_000
    assert row.field_frames >= 128


def test_zeros_between_taps_are_seen():
    dilated = nn.Sequential(nn.Conv2d(1, 1, (1, 4), dilation=(1, 8)), nn.Conv2d(1, 1, (3, 3)))
    row = measure("dilated", dilated, SPEC)
    assert (row.field_bands, row.field_frames) == (3, 1 + 3 * 8 + 2)


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        (
            "artist",
            1 + 6 + 4 * 6 + 16 * 6 + 64 * 2,
        ),  # convolutions of 4, 4, 4 and 2 frames, each with a pool of as many
        ("temporal", 255),
        ("musicnn", 101),  # 128 + 3 * 6 of its 186 frames, which are 128 of ours
        ("temporal_tags", 255),
        ("ensemble", 595),  # mn04's
    ],
)
def test_networks_of_channels_that_are_bands_and_of_branches_by_hand(name, frames):
    row = measure(name, build(ModelConfig(name, 10)), released("seed3s").spec)
    assert row.field_frames == frames
    assert row.field_bands >= 128


def test_the_reach_of_1d_layers_is_where_gradients_are():
    network = build(ModelConfig("temporal", 10)).eval()
    x = torch.rand(1, 128, 1, 600, requires_grad=True)
    y = x
    for conv, norm, pool in zip(network.convs, network.norms, network.pools, strict=True):
        y = nn.functional.avg_pool2d(norm(conv(y)), pool[1].kernel_size)  # a mean has a gradient at each place
    y[0, :, 0, 1].sum().backward()
    touched = x.grad[0, :, 0].abs().sum(dim=0).nonzero()
    assert touched.max() - touched.min() + 1 == measure("temporal", network, released("seed3s").spec).field_frames


def test_resnet18_reaches_what_is_published():
    row = measure("resnet18", build(ModelConfig("resnet18", 10)), SPEC)
    assert (row.field_bands, row.field_frames) == (435, 435)  # Araujo et al., Computing Receptive Fields, Distill 2019


def test_the_field_is_where_gradients_are():
    network = build(ModelConfig("cnn", 10)).eval()
    x = torch.rand(1, 1, 128, 128, requires_grad=True)
    network.blocks[:-1](x)[0, :, 16, 16].sum().backward()
    touched = x.grad[0, 0].abs().sum(dim=0).nonzero()
    assert touched.max() - touched.min() + 1 <= measure("cnn", network, SPEC).field_frames


def test_the_command_prints_a_table_and_json(capsys):
    assert main(["models", "cnn", "compact"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["model", "compact", "cnn", "Receptive"]
    assert main(["models", "cnn", "--spec", "seed3s", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["n_parameters"] == 128_490
    assert row["n_macs"] == 9 * (32 * 128**2 + 32 * 64 * 64**2 + 64 * 128 * 32**2) + 128 * 256 + 2560
    assert main(["models", "vgg99"]) == 2
    assert "vgg99" in capsys.readouterr().err


def test_the_table_has_the_cheapest_first():
    rows = [measure(name, build(ModelConfig(name, 10)), SPEC) for name in ("cnn", "compact")]
    lines = format_complexity(rows, SPEC).splitlines()
    assert lines[1].startswith("compact")
    assert "8.94 s" in lines[-1]
