"""The compact network in int8: every operator and tensor an integer, small, and answering as the float one."""

import numpy as np
import pytest
import torch

from edgegenre.checkpoint import Checkpoint
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig, build
from edgegenre.toy.styles import STYLES
from edgegenre_export import ExportJob, checkpoint_network, export_bundle, find_recipe, require_int8
from edgegenre_export.check.model_answers import run_tflite
from edgegenre_export.inputs.calibration_windows import toy_calibration
from edgegenre_export.inputs.golden_pcm import golden_inputs, golden_pcm
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import read_bundle

TABLES = released("wide9s")
LABELS = tuple(sorted(STYLES))
N_WINDOWS = 8 * len(LABELS)


def fit(network, cells, labels, steps=30):
    """Train for a few steps: random weights have answers too close to call, so int8 would change them."""
    generator = torch.Generator().manual_seed(0)
    db = network_input(cells, 80)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    network.train()
    for _ in range(steps):
        picked = torch.randperm(len(labels), generator=generator)[:20]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(db[picked]), labels[picked]).backward()
        optimizer.step()
    network.eval()


@pytest.mark.slow
def test_compact_exports_to_pure_int8(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig("compact", len(LABELS), dropout=0.1)
    network = build(config)
    calibration = toy_calibration(TABLES, N_WINDOWS, 0)
    fit(network, calibration.windows, torch.arange(N_WINDOWS) % len(LABELS))
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    checkpoint = Checkpoint(config, LABELS, TABLES.spec, TABLES.spec_hash, state, {})
    trained, golden = checkpoint_network(checkpoint), golden_inputs(golden_pcm(TABLES), TABLES)
    out = tmp_path / "bundle"
    result = export_bundle(ExportJob(trained, TABLES, calibration, golden, find_recipe("int8"), out, "pytest"))
    model_report = result.model_reports["model_int8.tflite"]
    require_int8(model_report, 80)
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "ADD", "RESHAPE", "PAD", "TRANSPOSE"}
    assert set(model_report.ops) <= allowed
    assert model_report.ops.count("CONV_2D") + model_report.ops.count("DEPTHWISE_CONV_2D") == 41
    assert result.sizes_bytes["model_int8.tflite"] <= 300_000
    model = read_bundle(tmp_path / "bundle").read("model_int8.tflite")
    unseen = toy_calibration(TABLES, 4 * len(LABELS), 1).windows
    expected = trained.logits(unseen)
    made = run_tflite(model, unseen)
    assert (made.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    reference = run_tflite(model, unseen, reference_kernels=True)
    assert np.abs(made.astype(int) - reference).max() <= 4  # over 41 layers the kernels' roundings add up
