"""musicnn: the map of our mels to its own, and its layers against what was published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_artist import write_published
from published_musicnn import write_published_musicnn
from torch.nn.functional import conv2d, pad

from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig, build
from edgegenre.models.published.musicnn_input import PEAK_DB, MusicnnMels, design_musicnn_map
from edgegenre.pretrained import load_weights
from edgegenre_runtime.errors import CheckpointError
from edgegenre_runtime.frontend import log_mel, normalize, released
from edgegenre_runtime.frontend.spec import FrontendSpec
from edgegenre_runtime.frontend.tables import mel_weights

TABLES = released("seed3s")


def _power_mels(x: np.ndarray) -> np.ndarray:
    """librosa's melspectrogram of musicnn, without centering; float64 [96, T]."""
    frames = np.lib.stride_tricks.sliding_window_view(x, 512)[::256] * np.hanning(513)[:-1]
    power = np.abs(np.fft.rfft(frames)) ** 2
    bank = mel_weights(FrontendSpec(sample_rate_hz=16000, n_fft=512, hop_samples=256, n_mels=96, fmax_hz=8000))
    return np.asarray(bank @ power.T)


def test_rows_interpolate() -> None:
    weights, offset_db = design_musicnn_map()
    assert weights.shape == (96, 128)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert ((weights > 0).sum(axis=1) <= 2).all()
    assert (np.diff(weights @ np.arange(128)) > 0).all()
    assert offset_db[20:] == pytest.approx(10 * np.log10(22050 / 2048 / 31.25 * 16000 * 512 / (22050 * 2048)), abs=0.5)


@pytest.mark.parametrize("color", [0.0, 0.9])
def test_noise_comes_out_as_its_own_front_end_hears_it(color: float) -> None:
    """The same colored noise at 22 050 and 16 000 Hz: band by band the same level, that of the window included."""
    rng = np.random.default_rng(0)
    n_seconds = 20
    spectrum = rng.normal(size=11025 * n_seconds) + 1j * rng.normal(size=11025 * n_seconds)
    spectrum /= 1 + color * np.arange(11025 * n_seconds) / n_seconds / 1000
    at_22k = np.fft.irfft(np.append(spectrum, 0))
    at_16k = np.fft.irfft(spectrum[: 8000 * n_seconds + 1]) * 16000 / 22050
    scale = 0.1 / at_22k.std()
    theirs = 10 * np.log10(_power_mels(at_16k * scale).mean(axis=1))
    frames = log_mel(np.rint(at_22k * scale * 32767).astype(np.int16), TABLES).frames_q9
    cells = np.stack([normalize(frames[:, s : s + 128], TABLES).cells for s in range(0, 640, 128)])
    heard = MusicnnMels()(network_input(cells, TABLES.spec.top_db)).double()
    assert heard.shape == (5, 1, 96, 186)
    ours = 10 * np.log10((10**heard - 1).mean(dim=(0, 1, 3)).numpy() / 10000)
    difference_db = ours - theirs
    assert np.abs(difference_db - difference_db.mean()).max() < 3
    assert difference_db.std() < 0.7


def test_the_loudest_cell_has_its_level_and_silence_is_quiet() -> None:
    mels = MusicnnMels()
    _, offset_db = design_musicnn_map()
    loud = mels(torch.full((1, 1, 128, 128), 80.0))[0, 0, :, 0].double().numpy()
    assert loud == pytest.approx(np.log10(1 + 10000 * 10 ** ((PEAK_DB + offset_db) / 10)), abs=0.01)
    assert mels(torch.zeros(1, 1, 128, 128)).max() < 0.01
    assert not [key for key in build(ModelConfig("musicnn", 10)).state_dict() if key.startswith("mels")]


def _as_published(arrays: dict[str, np.ndarray], mels: torch.Tensor) -> np.ndarray:
    """The published layers, one input channel: hidden units (not normed) and tags [250] of mels [1, 1, 96, T]."""
    given = {key: torch.from_numpy(value) for key, value in arrays.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        gamma, beta, mean, variance = (given[f"{name}.{i}"].reshape(shape) for i in range(4))
        return (x - mean) / torch.sqrt(variance + 1e-3) * gamma + beta

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        n_frames = given[f"{name}.0"].shape[2]
        return torch.relu(
            conv2d(pad(x, (0, 0, (n_frames - 1) // 2, n_frames // 2)), given[f"{name}.0"], given[f"{name}.1"])
        )

    x = norm(mels.transpose(2, 3), "batch_normalization")
    names = ("conv2d", *(f"conv2d_{i}" for i in range(1, 5)))
    front = torch.cat([norm(conv(x, n), f"batch_normalization_{i}").amax(3) for i, n in enumerate(names, 1)], dim=1)
    heard, last = [front], front
    for i in range(1, 4):
        made = norm(conv(last.transpose(1, 2)[:, None], f"midend_conv{i}"), f"bn_midend_conv{i}")[..., 0]
        last = made + last if i > 1 else made
        heard.append(last)
    found = torch.cat(heard, dim=1)[0]
    pooled = norm(torch.stack([found.amax(dim=1), found.mean(dim=1)], dim=1).flatten()[None], "bn_flatpool")
    hidden = torch.relu(pooled @ given["dense.0"] + given["dense.1"])
    tags = norm(hidden, "bn_dense") @ given["dense_1.0"] + given["dense_1.1"]
    return torch.cat([hidden, tags], dim=1)[0].numpy()


def test_the_head_sees_what_the_published_network_makes(tmp_path: Path) -> None:
    path = write_published_musicnn(tmp_path / "musicnn.npz")
    network = build(ModelConfig("musicnn", 10, 0.0))
    loaded = load_weights(network, path)
    assert loaded.fresh == ("head.bias", "head.weight")
    seen: list[torch.Tensor] = []
    network.stages()[-1][1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    window = torch.from_numpy(np.random.default_rng(1).uniform(0, 80, (1, 1, 128, 128)).astype(np.float32))
    with torch.inference_mode():
        network.eval()(window)
        expected = _as_published(dict(np.load(path)), network.mels(window))
    np.testing.assert_allclose(seen[0][0].numpy(), expected, rtol=1e-3, atol=1e-3)


def test_weights_of_which_other_channels_answer_are_refused(tmp_path: Path) -> None:
    path = write_published_musicnn(tmp_path / "musicnn.npz")
    arrays = dict(np.load(path))
    arrays["bn_flatpool.3"] = np.ones_like(arrays["bn_flatpool.3"])
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="channels of conv2d answer, 22 of the published musicnn's"):
        load_weights(build(ModelConfig("musicnn", 10)), path)


def test_a_file_that_is_not_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another network"):
        load_weights(build(ModelConfig("musicnn", 10)), write_published(tmp_path / "artist.npz"))


@pytest.mark.shared
def test_published_weights_load_and_answer_as_published(shared_dir: Path) -> None:
    network = build(ModelConfig("musicnn", 10, 0.0))
    loaded = load_weights(network, shared_dir / "weights" / "msd_musicnn.npz")
    network.head = torch.nn.Identity()
    window = torch.from_numpy(np.random.default_rng(1).uniform(0, 80, (1, 1, 128, 128)).astype(np.float32))
    with torch.inference_mode():
        heard = network.eval()(window)[0].numpy()
        expected = _as_published(dict(np.load(shared_dir / "weights" / "msd_musicnn.npz")), network.mels(window))
    np.testing.assert_allclose(heard[200:], expected[200:], atol=1e-3)
    network = build(ModelConfig("musicnn", 10))
    assert set(loaded.used) | set(loaded.fresh) == {
        key for key in network.state_dict() if not key.endswith("num_batches_tracked")
    }
