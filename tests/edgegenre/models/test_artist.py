from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_artist import write_published

from edgegenre.models import ModelConfig, build
from edgegenre.models.published.artist import PEAK_DB
from edgegenre.pretrained import load_weights
from edgegenre_runtime.errors import CheckpointError


def _as_published(arrays: dict[str, np.ndarray], window_db: np.ndarray) -> np.ndarray:
    """What the README of the weights says, with NumPy alone: features [1536] of one window [128, T]."""
    power = 10 ** ((window_db - 80 + PEAK_DB) / 10)
    x = (np.log10(1 + 10 * np.sqrt(power * 10.7666 / 2) * 0.886227 / 21.5332) - 0.22620339) / 0.25794547
    means, peaks = [], []
    for i, pool in enumerate((4, 4, 4, 2, 1), 1):
        weight, (gamma, beta, mean, variance) = arrays[f"w{i}"], arrays[f"n{i}"]
        kernel = weight.shape[2]
        padded = np.pad(x, ((0, 0), ((kernel - 1) // 2, kernel // 2)))
        frames = np.stack([padded[:, t : t + kernel] for t in range(x.shape[1])])
        x = np.einsum("oik,tik->ot", weight, frames) + arrays[f"b{i}"][:, None]
        x = np.maximum((x - mean[:, None]) / np.sqrt(variance + 1e-3)[:, None] * gamma[:, None] + beta[:, None], 0)
        x = x[:, : x.shape[1] // pool * pool].reshape(len(x), -1, pool).max(axis=2)
        means.append(x.mean(axis=1))
        peaks.append(x.max(axis=1))
    return np.concatenate([*means, *peaks])


def test_the_head_sees_what_the_published_network_makes(tmp_path: Path) -> None:
    path = write_published(tmp_path / "artist.npz")
    network = build(ModelConfig("artist", 10, 0.0))
    loaded = load_weights(network, path)
    assert loaded.fresh == ("head.bias", "head.weight")
    seen: list[torch.Tensor] = []
    network.stages()[-1][1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    window = np.random.default_rng(1).uniform(0, 80, (128, 128)).astype(np.float32)
    with torch.inference_mode():
        network.eval()(torch.from_numpy(window)[None, None])
    expected = _as_published(dict(np.load(path)), window.astype(np.float64))
    np.testing.assert_allclose(seen[0][0].numpy(), expected, rtol=2e-3, atol=2e-3)


def test_a_file_that_is_not_the_network_is_refused(tmp_path: Path) -> None:
    network = build(ModelConfig("artist", 10))
    np.savez(tmp_path / "other.npz", w1=np.zeros(3, np.float32))
    with pytest.raises(CheckpointError, match="another network"):
        load_weights(network, tmp_path / "other.npz")
    (tmp_path / "cut.npz").write_bytes(write_published(tmp_path / "artist.npz").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(network, tmp_path / "cut.npz")
    np.savez(tmp_path / "pickled.npz", w1=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(network, tmp_path / "pickled.npz")
