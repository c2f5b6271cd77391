"""Rounding of weights: on the grid, and much better than nearest on inputs that are alike."""

import copy

import numpy as np
import torch
from torch import nn

from edgegenre.models.logit_layer import logit_layer
from edgegenre_export.convert.logit_shift import shift_logits
from edgegenre_export.quantize import weight_rounding as rounding
from edgegenre_export.quantize.weight_rounding import round_weights


def smooth_cells(seed, n=6):
    """Return windows whose neighboring cells are alike, as log-mels are; int8 [n, 128, 128]."""
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


def test_weights_are_on_the_grid_that_a_quantizer_finds():
    rounded = round_weights(network(0), smooth_cells(0), 80).module
    weights = rounded[0].weight.detach()
    assert torch.allclose(weights, nearest(weights), rtol=1e-6, atol=0)


def test_error_is_far_below_that_of_nearest_rounding():
    plain = network(1)
    rounded = round_weights(plain, smooth_cells(1), 80).module
    unseen = smooth_cells(2)
    ours = output_error(plain[0], rounded[0].weight, rounded[0].bias, unseen)
    theirs = output_error(plain[0], nearest(plain[0].weight.detach()), None, unseen)
    assert ours < 0.45 * theirs


def test_the_network_given_stays_as_it_is():
    plain = network(2)
    before = plain[0].weight.detach().clone()
    round_weights(plain, smooth_cells(0), 80)
    assert torch.equal(plain[0].weight, before)
    assert plain[0].bias is None


def test_a_channel_of_zeros_and_a_network_without_convolution():
    plain = network(3)
    plain[0].weight.data[4] = 0
    assert not round_weights(plain, smooth_cells(0), 80).module[0].weight[4].any()
    linear = nn.Linear(3, 3)
    assert round_weights(linear, smooth_cells(0)[:, :, :3], 80).module.weight.shape == (3, 3)


def test_errors_of_deep_networks_do_not_add_up(monkeypatch):
    """Pointwise and depthwise layers behind each other: the answer is much nearer than with nearest rounding."""
    # rounding of the inputs is compensated for too; this looks at the weights alone
    monkeypatch.setattr(rounding, "round_inputs", lambda low, high: lambda layer, inputs: inputs[0])
    torch.manual_seed(4)
    layers = [nn.Conv2d(1, 16, 3, stride=4), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Conv2d(16, 16, 3, groups=16, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU()]
    plain = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    rounded = round_weights(plain, smooth_cells(5), 80).module
    by_nearest = copy.deepcopy(plain)
    for layer in by_nearest:
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = nearest(layer.weight.data)
    unseen = (torch.from_numpy(smooth_cells(6)).float()[:, None] + 128) * (80 / 255)
    with torch.inference_mode():
        ours, theirs = ((network(unseen) - plain(unseen)).pow(2).mean() for network in (rounded, by_nearest))
    assert ours < theirs / 4, (ours, theirs)
    for layer in rounded:
        if isinstance(layer, nn.Conv2d):
            assert torch.allclose(layer.weight, nearest(layer.weight.detach()), rtol=1e-6, atol=1e-12)


def test_other_paddings_are_left_alone():
    plain = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))
    rounded = round_weights(plain.eval(), smooth_cells(0), 80).module
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), rounded.state_dict().values(), strict=True)
    )


def test_logits_are_shifted_where_they_are_made():
    plain = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3), nn.ReLU()).eval()
    shift = np.array([0.5, -1.0, 2.0], np.float32)
    assert logit_layer(plain, 3) == "3"
    shifted = shift_logits(plain, "3", shift)
    x = torch.randn(2, 1, 8, 8)
    with torch.inference_mode():
        np.testing.assert_allclose(shifted[:-1](x) - plain[:-1](x), np.tile(shift, (2, 1)), atol=1e-6)
    assert logit_layer(nn.Sequential(nn.Linear(3, 3, bias=False)), 3) is None
    assert logit_layer(nn.Linear(3, 3), 3) == ""
    assert torch.equal(shift_logits(nn.Linear(3, 3), "", shift).weight.isfinite().all(), torch.tensor(True))
