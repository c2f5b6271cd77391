"""A network with attention inside its windows and a head over them, exported together: int8, gated, verified, run."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from textures import LABELS, SPEC, calibration, job, reference_tracks, trained_checkpoint

from edgegenre.cli import main
from edgegenre.evaluate.embeddings import embed
from edgegenre.evaluate.scoring import network_input
from edgegenre.heads.checkpoint import TrainedHead, save_head
from edgegenre.heads.modules import build_head
from edgegenre_export import export_bundle
from edgegenre_export.convert.head_files import HEAD_MODELS, head_files, require_embedding
from edgegenre_export.inputs.trained_network import checkpoint_network
from edgegenre_export.recipes import find_recipe
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import ExportError, GateError, UsageError
from edgegenre_runtime.inspect.bundle_summary import describe_bundle
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.head import HEADS, HeadConfig
from edgegenre_runtime.network.head_model import run_head_model
from edgegenre_runtime.network.verify import verify


def random_head(kind, embedding_size, n_classes=4):
    width, memory = {"mean": (0, 0), "transformer": (8, 4)}.get(kind, (8, 0))
    config = HeadConfig(kind, embedding_size, n_classes, width, memory)
    torch.manual_seed(0)
    module = build_head(config)
    state = {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}
    return TrainedHead(config, state, {"command": "pytest"})


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_converts_and_keeps_its_state_by_name(kind):
    trained = random_head(kind, 6)
    files, head = head_files(trained, SPEC, LABELS), trained.head()
    given = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for name in HEAD_MODELS:
        assert run_head_model(name, files[name], head, given) == pytest.approx(head.run(given), abs=1e-5)
    described = json.loads(files["head.json"])
    assert [part["name"] for part in described["state"]] == list(trained.config.state)


@pytest.fixture(scope="module")
def checkpoint():
    return trained_checkpoint(pool="attention")


@pytest.fixture(scope="module")
def trained(checkpoint):
    """A GRU head that has learned nothing but to pass on what the network says: its gates are open."""
    head = random_head("gru", 256)
    network = checkpoint_network(checkpoint).module
    vectors = embed(network, network_input(calibration().windows, SPEC.top_db)).numpy()
    weights = {**head.weights, "center": vectors.mean(axis=0), "scale": (1 / (vectors.std(axis=0) + 1e-3))}
    weights["answer.weight"] = 20 * weights["answer.weight"]
    meta = {**head.meta, "uncertain_below": 0.4321}
    return dataclasses.replace(head, weights={name: np.float32(array) for name, array in weights.items()}, meta=meta)


@pytest.fixture(scope="module")
def result(checkpoint, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("head") / "bundle"
    return export_bundle(dataclasses.replace(job(out, checkpoint), head=trained))


def test_the_gate_judges_the_head_on_int8_embeddings(result):
    verdicts = {verdict.artifact: verdict for verdict in result.acceptance.verdicts}
    for name in ("head.npz", *HEAD_MODELS):
        assert verdicts[name].against == "the float network and head"
        assert verdicts[name].agreement >= 0.97
        assert verdicts[name].n_tracks == len(reference_tracks().names)
        assert 0 < verdicts[name].max_probability_difference < 0.3


def test_attention_is_int8_and_the_bundle_says_what_runs_it(result):
    report = result.model_reports["model_int8.tflite"]
    assert not report.faults
    assert {"LOGISTIC", "MUL"} <= set(report.ops)
    assert result.acceptance.faults == ()


def test_bundle_verify_inspect_and_card_know_the_head(result, trained):
    bundle = read_bundle(result.path)
    assert {"head.json", "head.npz", *HEAD_MODELS} <= set(bundle.manifest["files"])
    assert bundle.manifest["head"]["config"] == trained.config.to_dict()
    checks = {check.what: check for check in verify(result.path)}
    assert checks["head, numpy"].is_ok
    assert checks["head.tflite"].is_ok
    assert "head over windows: gru" in describe_bundle(bundle)
    assert bundle.manifest["uncertain_below"] == 0.4321  # the head's, not the network's
    card = bundle.read("card.md").decode()
    assert "below 0.43 is `uncertain`" in card
    assert "## Head over windows" in card
    assert "head.tflite" in card


def test_the_bundle_answers_tracks_with_its_head(result, checkpoint, trained):
    classifier, tracks = GenreClassifier.load(result.path), reference_tracks()
    stream = classifier.head_stream()
    network = checkpoint_network(checkpoint).module
    for i, cells in enumerate(tracks.windows[0]):
        found, vector = classifier.answer_along(stream, cells, i * stream.hop_s)
    expected = trained.head().run(embed(network, network_input(tracks.windows[0], SPEC.top_db)).numpy())[-1]
    assert vector.shape == (256,)
    assert found.argmax() == expected.argmax()


def test_a_head_of_another_embedding_size_is_not_exported(result, checkpoint, tmp_path):
    with pytest.raises(UsageError, match="takes embeddings of 5 values, cnn gives 256"):
        dataclasses.replace(job(tmp_path / "b", checkpoint), head=random_head("mean", 5))
    report = result.model_reports["model_int8.tflite"]
    require_embedding(report, 256)
    for one, found in ((report, "embeddings of 256"), (result.model_reports["model_float.onnx"], "no embedding")):
        with pytest.raises(ExportError, match=f"takes embeddings of 5 values, the int8 network gives {found}"):
            require_embedding(one, 5)


def test_other_recipes_are_refused_for_a_head_at_once(checkpoint, trained, tmp_path, capsys):
    with pytest.raises(UsageError, match="recipe int8 alone"):
        dataclasses.replace(job(tmp_path / "b", checkpoint), head=trained, recipe=find_recipe("float"))
    save_head(tmp_path / "run", trained, checkpoint)
    for options in ([], ["--recipe", "prune50_int8"], ["--sweep"]):
        assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "b"), *options]) == 2
        err = capsys.readouterr().err
        assert "recipe int8 alone" in err
        assert err.count("\n") == 1


@pytest.mark.slow
def test_a_head_that_int8_turns_is_rejected(checkpoint, trained, tmp_path, monkeypatch):
    from edgegenre_export.check import head_check

    monkeypatch.setattr(head_check, "run_embeddings", lambda name, model, cells: np.zeros((len(cells), 256), np.int8))
    with pytest.raises(GateError, match=r"head\.npz: answers"):
        export_bundle(dataclasses.replace(job(tmp_path / "b", checkpoint), head=trained))
    assert (tmp_path / "b.rejected" / "head.npz").exists()
