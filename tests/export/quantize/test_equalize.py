"""Equalized channels: the network answers as before, and small channels use the steps of a tensor."""

import numpy as np
import pytest
import torch
from torch import nn

from edgegenre.models import ModelConfig, build
from edgegenre_export.quantize.equalize import equalize

CELLS = np.random.default_rng(0).integers(-128, 128, (4, 128, 128)).astype(np.int8)
DB = (torch.from_numpy(CELLS).float()[:, None] + 128) * (80 / 255)


def uneven(groups):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=groups)]
    network = nn.Sequential(*layers).eval()
    network[1].weight.data = torch.logspace(-0.3, 0.3, 8)
    return network


def spread(network):
    with torch.inference_mode():
        largest = network[:3](DB).amax(dim=(0, 2, 3))
    return float(largest.max() / largest.min())


@pytest.mark.parametrize("groups", [1, 8])
def test_channels_become_even_and_the_answer_stays(groups):
    plain = uneven(groups)
    even = equalize(plain, CELLS, 80)
    with torch.inference_mode():
        torch.testing.assert_close(even(DB), plain(DB), rtol=1e-4, atol=1e-4)
    # factors go down to 1 / 20; a depthwise layer takes back all of them, one that sums channels half (in dB)
    assert spread(plain) > 40
    assert spread(even) == pytest.approx(spread(plain) / (20 if groups == 8 else 20**0.5), rel=0.1)


@pytest.mark.parametrize("name", ["compact", "mn04", "resnet18", "cnn", "temporal"])
def test_our_networks_stay_what_they_are(name):
    torch.manual_seed(1)
    plain = build(ModelConfig(name, 10)).eval()
    even = equalize(plain, CELLS, 80)
    with torch.inference_mode():
        wanted = plain(DB)
        torch.testing.assert_close(even(DB), wanted, rtol=0, atol=1e-4 * wanted.abs().max().item())
    if name in ("compact", "temporal"):
        pairs = zip(plain.state_dict().values(), even.state_dict().values(), strict=True)
        assert sum(not torch.equal(a, b) for a, b in pairs) >= {"compact": 61, "temporal": 11}[name]


def test_a_sum_with_what_no_batch_norm_made_is_left_alone():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
            self.second = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            x = self.relu(self.norm(self.first(x)))
            return x + self.second(x)

    plain = Forked().eval()
    assert torch.equal(equalize(plain, CELLS, 80).norm.weight, plain.norm.weight)


def test_a_grouped_layer_that_is_not_depthwise_is_left_alone():
    layers = [nn.Conv2d(1, 16, 3, stride=4), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, groups=8)]
    plain = nn.Sequential(*layers).eval()
    assert torch.equal(equalize(plain, CELLS, 80)[1].weight, plain[1].weight)


def test_tensors_that_are_added_share_their_factors():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU())
            self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4))
            self.last = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = self.stem(x)
            return self.last(x + self.branch(x))

    torch.manual_seed(0)
    plain = Residual().eval()
    plain.stem[1].weight.data = torch.tensor([0.1, 0.5, 1.0, 2.0])
    even = equalize(plain, CELLS, 80)
    with torch.inference_mode():
        torch.testing.assert_close(even(DB), plain(DB), rtol=1e-4, atol=1e-4)
        before, after = (one.stem(DB).amax(dim=(0, 2, 3)) for one in (plain, even))
    assert after.max() / after.min() < 0.6 * before.max() / before.min()


def test_what_cannot_be_traced_is_returned_as_it_is():
    class Choosy(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    assert isinstance(equalize(Choosy().eval(), CELLS, 80), Choosy)
