"""The compact network in int8: every operator and tensor an integer, small, and answering as the float one."""

import numpy as np
import pytest
import torch

from edgegenre.checkpoint import Checkpoint
from edgegenre.models import ModelConfig, build
from edgegenre.scoring import cells_to_db
from edgegenre.styles import STYLES
from edgegenre_export import export_bundle, require_int8
from edgegenre_export.draw import golden_pcm, toy_calibration
from edgegenre_export.replay import run_tflite, run_torch
from edgegenre_runtime.bundle import read_bundle
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")
LABELS = tuple(sorted(STYLES))
N_WINDOWS = 8 * len(LABELS)


def solve_head(network, cells, labels):
    """Set batch norms and head from one pass over windows: statistics of this batch, and least squares."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    features = []
    hook = network.head.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    with torch.no_grad():
        network.train()(cells_to_db(cells, 80))
        network.eval()(cells_to_db(cells, 80))
        hook.remove()
        x = torch.nn.functional.pad(features[1], (0, 1), value=1.0).double()
        y = 6.0 * torch.nn.functional.one_hot(labels, len(LABELS)).double() - 3.0
        solved = torch.linalg.solve(x.T @ x + 0.3 * torch.eye(x.shape[1], dtype=torch.float64), x.T @ y).float()
        network.head.weight.copy_(solved[:-1].T)
        network.head.bias.copy_(solved[-1])


@pytest.mark.slow
def test_compact_exports_to_pure_int8(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig("compact", len(LABELS))
    network = build(config)
    calibration = toy_calibration(TABLES, N_WINDOWS, 0)
    solve_head(network, calibration.windows, torch.arange(N_WINDOWS) % len(LABELS))
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    checkpoint = Checkpoint(config, LABELS, TABLES.spec, TABLES.spec_hash, state, {})
    result = export_bundle(
        checkpoint, TABLES, calibration, tmp_path / "bundle", golden_pcm=golden_pcm(TABLES), command="pytest"
    )
    certificate = result.certificates["model_int8.tflite"]
    require_int8(certificate, 80)
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED", "PAD", "TRANSPOSE"}
    assert set(certificate.ops) <= allowed
    assert certificate.ops.count("CONV_2D") + certificate.ops.count("DEPTHWISE_CONV_2D") == 19
    assert result.sizes_bytes["model_int8.tflite"] <= 300_000
    model = read_bundle(tmp_path / "bundle").read("model_int8.tflite")
    unseen = toy_calibration(TABLES, 4 * len(LABELS), 1).windows
    expected = run_torch(network, unseen, 80)
    made = run_tflite(model, unseen)
    assert (made.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    reference = run_tflite(model, unseen, reference_kernels=True)
    assert np.abs(made.astype(int) - reference).max() <= 1
