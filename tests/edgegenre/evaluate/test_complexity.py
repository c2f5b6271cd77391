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
