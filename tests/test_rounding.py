"""Rounding of the first convolution: on the grid, and much better than nearest on level-like inputs."""

import numpy as np
import torch
from torch import nn

from edgegenre_export.rounding import round_first_convolution


def smooth_cells(seed, n=6):
    """Return windows whose neighbouring cells are alike, as log-mels are; int8 [n, 128, 128]."""
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, 3, (n, 128, 128)).cumsum(axis=2) + rng.normal(0, 3, (n, 128, 1)).cumsum(axis=1) + 40
    return np.clip(np.rint(walk / (80 / 255)) - 128, -128, 127).astype(np.int8)


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(16, 4, 3)).eval()


def output_error(first, weights, bias, cells):
    db = (torch.from_numpy(cells).float()[:, None] + 128) * (80 / 255)
    with torch.no_grad():
        exact = nn.functional.conv2d(db, first.weight, first.bias, padding=1)
        return float((nn.functional.conv2d(db, weights, bias, padding=1) - exact).pow(2).mean().sqrt())


def nearest(weights):
    scale = weights.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    return torch.round(weights / scale) * scale


def test_weights_are_on_the_grid_that_a_quantiser_finds():
    rounded = round_first_convolution(network(0), smooth_cells(0), 80)
    weights = rounded[0].weight.detach()
    assert torch.allclose(weights, nearest(weights), rtol=1e-6, atol=0)


def test_error_is_far_below_that_of_nearest_rounding():
    plain = network(1)
    rounded = round_first_convolution(plain, smooth_cells(1), 80)
    unseen = smooth_cells(2)
    ours = output_error(plain[0], rounded[0].weight, rounded[0].bias, unseen)
    theirs = output_error(plain[0], nearest(plain[0].weight.detach()), None, unseen)
    assert ours < 0.35 * theirs


def test_the_network_given_stays_as_it_is():
    plain = network(2)
    before = plain[0].weight.detach().clone()
    round_first_convolution(plain, smooth_cells(0), 80)
    assert torch.equal(plain[0].weight, before)
    assert plain[0].bias is None


def test_a_channel_of_zeros_and_a_network_without_convolution():
    plain = network(3)
    plain[0].weight.data[4] = 0
    assert not round_first_convolution(plain, smooth_cells(0), 80)[0].weight[4].any()
    linear = nn.Linear(3, 3)
    assert round_first_convolution(linear, smooth_cells(0), 80) is linear
