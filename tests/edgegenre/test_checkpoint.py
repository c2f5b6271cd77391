"""Checkpoints: round trip without pickle, and every kind of damage refused in one line."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from edgegenre.checkpoint import Checkpoint, default_checkpoint, load_checkpoint, save_checkpoint, to_module
from edgegenre.models import ModelConfig, build
from edgegenre_runtime.errors import CheckpointError, EdgeGenreError
from edgegenre_runtime.frontend import released

CONFIG = ModelConfig("cnn", n_classes=3).to_dict()


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    config = ModelConfig("cnn", n_classes=3)
    tables = released("wide9s")
    state = {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}
    return Checkpoint(config, ("a", "b", "c"), tables.spec, tables.spec_hash, state, {"data": "none"})


@pytest.fixture
def saved(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "run" / "best.safetensors", checkpoint)
    return tmp_path / "run"


def test_round_trip(checkpoint, saved):
    for path in (saved, saved / "best.safetensors", saved / "best.json"):
        again = load_checkpoint(path)
        assert dataclasses.replace(again, state={}) == dataclasses.replace(checkpoint, state={})
        assert again.state.keys() == checkpoint.state.keys()
        assert all(np.array_equal(again.state[name], array) for name, array in checkpoint.state.items())
    assert sorted(p.name for p in saved.iterdir()) == ["best.json", "best.safetensors"]


def test_module_answers_as_before(checkpoint, saved):
    x = torch.rand(2, 1, 128, 128) * 80
    with torch.inference_mode():
        assert torch.equal(to_module(checkpoint)(x), to_module(load_checkpoint(saved))(x))


def edit(path, **changes):
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, **changes}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: (run / "best.json").unlink(), "cannot read"),
        (lambda run: (run / "best.safetensors").unlink(), "cannot read"),
        (
            lambda run: [(run / "best.json").unlink(), (run / "manifest.json").touch()],
            "this is a bundle",
        ),
        (lambda run: (run / "best.json").write_text("{"), "not JSON"),
        (lambda run: (run / "best.json").write_text("[]"), "format None"),
        (lambda run: edit(run / "best.json", format_version=3), "format 3"),
        (lambda run: (run / "best.safetensors").write_bytes(b"abc"), "does not match the hash"),
        (lambda run: edit(run / "best.json", config={"name": "cnn"}), "damaged"),
        (lambda run: edit(run / "best.json", spec={"n_fft": 7}), "damaged"),
        (lambda run: edit(run / "best.json", labels=None), "damaged"),
        (lambda run: edit(run / "best.json", labels="abc"), "not a list of text"),
        (lambda run: edit(run / "best.json", labels=[1, 2]), "not a list of text"),
        (lambda run: (run / "best.json").write_text("[" * 100_000), "not JSON"),
        *(
            (lambda run, odd=odd: edit(run / "best.json", config={**CONFIG, **odd}), "model config has")
            for odd in ({"name": {}}, {"dropout": "x"}, {"dropout": 2}, {"n_classes": "3"}, {"n_classes": True})
        ),
    ],
)
def test_damage_is_refused(saved, damage, says):
    damage(saved)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


def test_data_in_the_place_of_a_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="this is a feature cache; the model comes before the data"):
        load_checkpoint(tmp_path / "music.npz")


ODD = (None, True, -1, 0, 1e308, float("nan"), "x", "", [], {}, [[]], {"a": {}}, [1, "a", None])


def places(value, at=()):
    """Yield the path of every value in a JSON document."""
    yield at
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def test_no_value_of_another_type_is_a_traceback(checkpoint, tmp_path):
    """Each value of the JSON is replaced by each odd one; what comes out is a network or one line."""
    meta = {"metrics": {"valid": {"track_accuracy": 1.0}}, "options": {"seed": 0, "augment": {"mixup": 0.0}}}
    save_checkpoint(tmp_path / "best.safetensors", dataclasses.replace(checkpoint, meta=meta))
    path = tmp_path / "best.json"
    text = path.read_text()
    refusals = []
    for at in places(json.loads(text)):
        for odd in ODD:
            document = json.loads(text)
            if at:
                parent = document
                for key in at[:-1]:
                    parent = parent[key]
                parent[at[-1]] = odd
            else:
                document = odd
            path.write_text(json.dumps(document))
            try:
                to_module(load_checkpoint(tmp_path))
            except EdgeGenreError as error:
                refusals.append(str(error))
    assert len(refusals) > 200
    assert not any("\n" in refusal for refusal in refusals)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "\ud800", "9" * 5000, "\0"])
def test_json_that_is_none_is_refused(saved, content):
    (saved / "best.json").write_text(content, errors="surrogatepass")
    with pytest.raises(CheckpointError):
        load_checkpoint(saved)


def test_nan_weights_are_refused(checkpoint):
    checkpoint.state["head.bias"] = np.array([0, np.nan, 0], np.float32)
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in head\.bias"):
        to_module(checkpoint)


def test_wrong_label_count_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match="2 labels but 3 outputs"):
        to_module(dataclasses.replace(checkpoint, labels=("a", "b")))


def test_weights_of_another_network_are_refused(checkpoint):
    del checkpoint.state["head.bias"]
    with pytest.raises(CheckpointError, match="do not fit"):
        to_module(checkpoint)


def test_the_shipped_checkpoint_loads():
    shipped = load_checkpoint(default_checkpoint())
    assert shipped.spec_hash == released(shipped.spec.name).spec_hash
    assert len(shipped.labels) == 10
    to_module(shipped)
