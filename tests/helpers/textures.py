"""Four synthetic textures, a checkpoint that knows them, and its export: what the export's tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from edgegenre.checkpoint import Checkpoint
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig, build
from edgegenre_export import (
    Calibration,
    ExportJob,
    ExportResult,
    ReferenceTracks,
    checkpoint_network,
    export_bundle,
    find_recipe,
)
from edgegenre_export.inputs.golden_pcm import golden_inputs
from edgegenre_runtime.frontend import released
from edgegenre_runtime.frontend.decibels import db_to_cells

TABLES = released("seed3s")
SPEC = TABLES.spec
LABELS = ("sine", "comb", "hiss", "pulse")


def synthetic_windows(n: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Windows int8 [n, 128, 128] of four textures, and which texture each is."""
    rng = np.random.default_rng(seed)
    f, t = np.mgrid[0:128, 0:128]
    classes = rng.integers(0, len(LABELS), n)
    windows = []
    for label in classes:
        phase, speed = rng.uniform(0, 6), rng.uniform(3, 5)
        texture = [
            np.sin(f / (4 * speed) + phase),
            np.sin(f / (speed / 3) + phase),
            rng.normal(0, 0.7, (128, 128)),
            np.sin(t / (speed / 2) + phase),
        ][label]
        db = 40 + 25 * texture + rng.normal(0, 5, (128, 128))
        windows.append(db_to_cells(np.clip(db - db.max() + SPEC.top_db, 0, SPEC.top_db), SPEC.top_db))
    return np.stack(windows), classes


def trained_checkpoint(pool: str = "mean") -> Checkpoint:
    """The seed's CNN on random convolutions, its head solved by least squares: confident and cheap."""
    torch.manual_seed(0)
    config = ModelConfig(name="cnn", n_classes=len(LABELS), pool=pool)
    network = build(config)
    cells, classes = synthetic_windows(64, seed=1)
    db = network_input(cells, SPEC.top_db)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # running statistics become those of this one batch
    features: list[torch.Tensor] = []
    hook = network.get_submodule("head").register_forward_pre_hook(lambda _, args: features.append(args[0]))
    with torch.no_grad():
        network.train()(db)
        network.eval()(db)
    hook.remove()
    x = torch.nn.functional.pad(features[1], (0, 1), value=1.0).double()
    y = 3.0 * torch.nn.functional.one_hot(torch.from_numpy(classes), len(LABELS)).double() - 1.5
    solved = torch.linalg.solve(x.T @ x + 0.1 * torch.eye(x.shape[1], dtype=torch.float64), x.T @ y).float()
    state = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    state |= {"head.weight": solved[:-1].T.contiguous().numpy(), "head.bias": solved[-1].numpy()}
    figures = {"track_accuracy": 1.0, "track_accuracy_95": [0.9, 1.0], "n_tracks": 64, "command": "pytest"}
    meta = {"data": "synthetic textures", "metrics": {"test": figures}}
    return Checkpoint(config, LABELS, SPEC, TABLES.spec_hash, state, meta)


def calibration(n: int = 48, seed: int = 2) -> Calibration:
    windows, _ = synthetic_windows(n, seed)
    return Calibration(windows, tuple(range(n)), seed, "synthetic textures", TABLES.spec_hash)


def reference_tracks(n: int = 40) -> ReferenceTracks:
    """Tracks of two windows, both of one texture, whose truth is known."""
    windows, classes = synthetic_windows(8 * n, seed=5)
    pairs = [np.flatnonzero(classes == label)[: n // 2].reshape(-1, 2) for label in range(len(LABELS))]
    tracks = np.concatenate(pairs)
    truth = classes[tracks[:, 0]]
    names = tuple(f"{LABELS[label]} {i}" for i, label in enumerate(truth))
    cells = tuple(windows[track] for track in tracks)
    return ReferenceTracks(names, cells, truth, "synthetic textures", TABLES.spec_hash)


def golden_pcm() -> list[npt.NDArray[np.int16]]:
    rng = np.random.default_rng(3)
    t = np.arange(SPEC.window_samples) / SPEC.sample_rate_hz
    tone = np.rint(12000 * np.sin(2 * np.pi * 440 * t))
    noise = np.rint(rng.normal(0, 3000, SPEC.window_samples))
    return [tone.astype(np.int16), noise.astype(np.int16), np.zeros(SPEC.window_samples, dtype=np.int16)]


def job(out: Path, checkpoint: Checkpoint, recipe: str = "int8") -> ExportJob:
    return ExportJob(
        network=checkpoint_network(checkpoint),
        tables=TABLES,
        calibration=calibration(),
        golden=golden_inputs(golden_pcm(), TABLES),
        recipe=find_recipe(recipe),
        destination=out,
        command="pytest",
        reference=reference_tracks(),
    )


def export(out: Path, checkpoint: Checkpoint, recipe: str = "int8") -> ExportResult:
    return export_bundle(job(out, checkpoint, recipe))
