"""The artist network for int8: its input by ReLUs, its start, its standardized means, and its int8 model."""

import numpy as np
import pytest
import torch
from published_artist import write_published

from edgegenre.checkpoint import Checkpoint
from edgegenre.models import ModelConfig, build
from edgegenre.models.published.artist import artist_input
from edgegenre.models.temporal import input_knees
from edgegenre.pretrained import load_weights
from edgegenre_export import ExportJob, checkpoint_network, export_bundle, find_recipe, require_int8
from edgegenre_export.check.model_answers import run_tflite
from edgegenre_export.inputs.calibration_windows import toy_calibration
from edgegenre_export.inputs.golden_pcm import golden_inputs, golden_pcm
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import read_bundle

TABLES = released("seed3s")
LABELS = ("high", "low", "middle")


def started(tmp_path):
    torch.manual_seed(0)
    network = build(ModelConfig("temporal", len(LABELS), 0.0)).eval()
    load_weights(network, write_published(tmp_path / "artist.npz"))
    return network


def seen_by_the_head(network, db):
    seen = []
    hook = network.stages()[-1][1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(db)
    hook.remove()
    return seen[0]


def test_three_relus_are_the_published_input():
    floor, slopes = input_knees()
    db = torch.linspace(0, 80, 801)
    relus = floor + sum(s * torch.relu(db - knee) for s, knee in zip(slopes, (30, 46, 60), strict=True))
    assert min(slopes) > 0
    assert (relus - artist_input(db)).abs().max() < 0.2  # of a range of 4.5
    assert (relus - artist_input(db)).square().mean().sqrt() < 0.08


def test_the_head_sees_nearly_the_means_that_the_published_network_makes(tmp_path):
    temporal, artist = started(tmp_path), build(ModelConfig("artist", len(LABELS), 0.0))
    load_weights(artist, tmp_path / "artist.npz")
    db = torch.from_numpy(np.random.default_rng(1).uniform(20, 80, (6, 1, 128, 128)).astype(np.float32))
    made, wanted = seen_by_the_head(temporal, db), seen_by_the_head(artist, db)[:, :512]
    for layer in range(3):  # the fourth is one position, which the edges of the window change
        part = slice(128 * layer, 128 * (layer + 1))
        assert np.corrcoef(made[:, part].ravel(), wanted[:, part].ravel())[0, 1] > 0.97


def test_a_regression_moves_into_means_and_head(tmp_path):
    network, rng = started(tmp_path), np.random.default_rng(2)
    db = torch.from_numpy(rng.uniform(0, 80, (5, 1, 128, 128)).astype(np.float32))
    features = seen_by_the_head(network, db)
    weight, bias = (torch.from_numpy(rng.normal(size=size)).float() for size in ((3, 512), 3))
    mean, deviation = features.mean(dim=0), features.std(dim=0) + 0.1
    network.set_regression(mean, deviation, weight, bias)
    standardized = seen_by_the_head(network, db)
    torch.testing.assert_close(standardized, (features - mean) / deviation, rtol=1e-3, atol=1e-3)
    with torch.inference_mode():
        torch.testing.assert_close(network(db), standardized @ weight.T + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_temporal_exports_to_pure_int8(tmp_path):
    network, calibration = started(tmp_path), toy_calibration(TABLES, 64, 0)
    db = torch.from_numpy((calibration.windows.astype(np.float32)[:, None] + 128) * (80 / 255))
    features = seen_by_the_head(network, db)
    weight = torch.from_numpy(np.random.default_rng(3).normal(0, 0.05, (3, 512))).float()
    network.set_regression(features.mean(dim=0), features.std(dim=0) + 0.01, weight, torch.zeros(3))
    state = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    config = ModelConfig("temporal", len(LABELS), 0.0)
    checkpoint = Checkpoint(config, LABELS, TABLES.spec, TABLES.spec_hash, state, {})
    trained, golden = checkpoint_network(checkpoint), golden_inputs(golden_pcm(TABLES), TABLES)
    job = ExportJob(trained, TABLES, calibration, golden, find_recipe("int8"), tmp_path / "bundle", "pytest")
    result = export_bundle(job)
    require_int8(result.model_reports["model_int8.tflite"], 80)
    assert result.sizes_bytes["model_int8.tflite"] <= 300_000
    model = read_bundle(tmp_path / "bundle").read("model_int8.tflite")
    unseen = toy_calibration(TABLES, 24, 1).windows
    assert (run_tflite(model, unseen).argmax(axis=1) == trained.logits(unseen).argmax(axis=1)).mean() >= 0.85
