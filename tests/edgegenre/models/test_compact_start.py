"""mn04's weights as the start of the compact network: each of the three steps, and the whole on the real weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edgegenre.data.clips import read_clip
from edgegenre.data.windows import cut_windows
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig, build
from edgegenre.models.compact_start import start_from_mn04
from edgegenre.models.published.mn04 import is_mn04
from edgegenre.models.published.mn04_input import PEAK_DB, design_mel_map
from edgegenre.pretrained import load_weights
from edgegenre_runtime.errors import CheckpointError
from edgegenre_runtime.frontend import log_mel, released

FRESH = ("features.14.", "head.")


def random_mn04():
    torch.manual_seed(3)
    network = build(ModelConfig("mn04", 527)).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "running_var", "1.bias")):
            tensor.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def teacher():
    return random_mn04()


@pytest.fixture(scope="module")
def start(teacher):
    return start_from_mn04(teacher.state_dict())


def loaded(start):
    network = build(ModelConfig("compact", 10)).eval()
    result = network.load_state_dict(start, strict=False)
    assert result.unexpected_keys == []
    assert all(key.startswith(FRESH) for key in result.missing_keys)
    return network


def test_the_stem_is_interpolation_levels_and_mn04s_stem_in_one(teacher, start):
    network = loaded(start)
    x = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(0)) * 80
    _, offset_db, filled = design_mel_map()
    level = (offset_db[filled].mean() + PEAK_DB - 80) * np.log(10) / 10
    scaled = (x * np.log(10) / 10 + level + 4.5) / 5
    doubled = torch.nn.functional.interpolate(scaled, scale_factor=(1.0, 2.0), mode="bilinear")
    with torch.inference_mode():
        expected = teacher.features[0][:2](doubled)
        made = network.features[0][:2](x)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # the padding is another: the floor
    torch.testing.assert_close(made[inside], expected[inside], rtol=1e-4, atol=1e-4)


def test_blocks_without_excitation_are_mn04s(teacher, start):
    network = loaded(start)
    x = torch.randn(1, 8, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(network.features[1](x), teacher.features[1](x), rtol=1e-4, atol=1e-4)
        y = network.features[1](x)
        torch.testing.assert_close(network.features[2](y), teacher.features[2](y), rtol=1e-4, atol=1e-4)


def test_an_excitation_becomes_its_factor_for_average_channels(teacher, start):
    block = teacher.features[4].block
    norm, excite = block[1][1], block[2].conc_se_layers[0]
    rng = np.random.default_rng(0)
    gamma, beta = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    mean = np.maximum(beta + gamma * rng.standard_normal((200_000, len(beta))), 0).mean(axis=0)
    with torch.inference_mode():
        squeezed = torch.relu(excite.fc1(torch.from_numpy(mean).float()))
        factor = torch.sigmoid(excite.fc2(squeezed))
    made = start["features.4.block.2.0.weight"] / block[3][0].weight
    torch.testing.assert_close(made[0, :, 0, 0], factor, rtol=1e-2, atol=1e-3)
    assert factor.std() > 0


def test_weights_are_recognized_and_loaded_from_a_file(teacher, tmp_path):
    state = teacher.state_dict()
    assert is_mn04(state)
    assert not is_mn04(build(ModelConfig("compact", 10)).state_dict())
    save_file(state, tmp_path / "mn04.safetensors")
    network = build(ModelConfig("compact", 4))
    head = network.head.weight.clone()
    summary = load_weights(network, tmp_path / "mn04.safetensors")
    assert {key.rsplit(".", 1)[0] for key in summary.fresh} >= {"head", "features.14.0"}
    assert torch.equal(network.head.weight, head)
    assert torch.equal(network.state_dict()["features.2.block.0.0.weight"], state["features.2.block.0.0.weight"])


def test_another_networks_weights_are_refused(tmp_path):
    save_file(build(ModelConfig("cnn", 4)).state_dict(), tmp_path / "cnn.safetensors")
    with pytest.raises(CheckpointError, match="another network"):
        load_weights(build(ModelConfig("compact", 4)), tmp_path / "cnn.safetensors")


@pytest.mark.shared
def test_real_weights_hear_alike_in_both_networks(shared_dir):
    """The first blocks of the start answer to real music as mn04's do, channel by channel."""
    path = shared_dir / "weights" / "mn04_as_mAP_432.safetensors"
    student = loaded(start_from_mn04(load_file(path)))
    teacher = build(ModelConfig("mn04", 527)).eval()
    load_weights(teacher, path, keep_head=True)
    tables = released("wide9s")
    pcm = read_clip(shared_dir / "data" / "gtzan" / "clips" / "disco.00000.flac", 22050).pcm
    x = network_input(cut_windows(log_mel(pcm, tables).frames_q9, tables), 80)
    with torch.inference_mode():
        ours, theirs = student.features[:4](x), teacher.features[:4](teacher.mels(x))
    assert ours.shape == theirs.shape
    # the bands of the two differ by a few, so the mean over bands is what can be alike
    pairs = zip(*(made.mean(dim=2).transpose(0, 1).flatten(1) for made in (ours, theirs)), strict=True)
    correlation = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs]
    assert np.median(correlation) > 0.8, correlation
