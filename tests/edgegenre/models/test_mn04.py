"""mn04: the map of our mels to its own, and what it hears in real music through our windows."""

import numpy as np
import pytest
import torch

from edgegenre.data.clips import read_clip
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import ModelConfig, build
from edgegenre.models.published.mn04_input import PEAK_DB, KaldiMels, design_mel_map
from edgegenre.pretrained import load_weights
from edgegenre_runtime.frontend import log_mel, normalize, released

TABLES = released("seed3s")
SPEC = TABLES.spec
MUSIC, SPEECH = 137, 0  # of AudioSet's 527 classes
FLOOR = (np.log(1e-5) + 4.5) / 5


def kaldi_mels(x, rate_hz):
    """mn04's own front-end (EfficientAT, preprocess.py), triangles as in torchaudio; float64 [128, T]."""
    x = x[1:] - 0.97 * x[:-1]
    window = np.zeros(1024)
    window[112:912] = np.hanning(800)
    frames = np.lib.stride_tricks.sliding_window_view(x, 1024)[::320]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    hz = np.arange(512) * rate_hz / 1024
    mel = 1127 * np.log(1 + hz / 700)
    edge = np.linspace(0, 1127 * np.log(1 + 15000 / 700), 130)[:, None]
    up, down = (mel - edge[:-2]) / (edge[1:-1] - edge[:-2]), (edge[2:] - mel) / (edge[2:] - edge[1:-1])
    return (np.log(np.maximum(0, np.minimum(up, down)) @ power.T[:512] + 1e-5) + 4.5) / 5


def test_rows_interpolate_and_what_we_cannot_hear_is_floor():
    weights, offset_db, filled = design_mel_map()
    assert weights[filled].sum(axis=1) == pytest.approx(1)
    assert (weights >= 0).all()
    assert ((weights > 0).sum(axis=1)[filled] <= 2).all()
    assert not weights[~filled].any()
    assert filled.sum() == 116
    assert (np.diff(weights[filled] @ np.arange(128)) >= 0).all()
    assert np.isfinite(offset_db).all()


@pytest.mark.parametrize("color", [0.0, 0.9])
def test_noise_comes_out_as_its_own_front_end_hears_it(color):
    """The same colored noise at 22 050 and 32 000 Hz: band by band the same level, but for that of the window."""
    rng = np.random.default_rng(0)
    n_seconds = 20
    spectrum = rng.normal(size=16000 * n_seconds) + 1j * rng.normal(size=16000 * n_seconds)
    hz = np.arange(16000 * n_seconds) / n_seconds
    spectrum *= np.where(hz < 11025, 1 / (1 + color * hz / 1000), 0)
    at_32k = np.fft.irfft(spectrum, 32000 * n_seconds)
    at_22k = np.fft.irfft(spectrum[: 11025 * n_seconds], 22050 * n_seconds) * 22050 / 32000
    scale = 0.1 / at_32k.std()
    theirs = kaldi_mels(at_32k * scale, 32000).mean(axis=1)
    pcm = np.rint(at_22k * scale * 32767).astype(np.int16)
    frames = log_mel(pcm, TABLES).frames_q9
    cells = np.stack([normalize(frames[:, s : s + 128], TABLES).cells for s in range(0, 640, 128)])
    ours = KaldiMels()(network_input(cells, SPEC.top_db)).double().mean(dim=(0, 1, 3)).numpy()
    heard = slice(0, 114)
    difference_db = (ours - theirs)[heard] * 5 * 10 / np.log(10)
    assert difference_db.std() < 0.7
    assert np.abs(difference_db - difference_db.mean()).max() < 3
    assert ours[118:] == pytest.approx(FLOOR, abs=1e-3)


def test_frames_are_doubled_and_silence_is_quiet():
    made = KaldiMels()(torch.zeros(2, 1, 128, 64))
    assert made.shape == (2, 1, 128, 128)
    loudest = (np.log(10) / 10 * (PEAK_DB - 80 + 25) + 4.5) / 5
    assert made.min() >= FLOOR - 1e-4
    assert made.max() < loudest


def test_the_map_is_not_in_the_state_dict():
    assert not [key for key in build(ModelConfig("mn04", 10)).state_dict() if key.startswith("mels")]


@pytest.mark.shared
def test_audioset_weights_load_strictly_but_for_the_head(shared_dir):
    network = build(ModelConfig("mn04", 10))
    loaded = load_weights(network, shared_dir / "weights" / "mn04_as_mAP_432.safetensors")
    assert loaded.fresh == loaded.dropped == ("classifier.5.bias", "classifier.5.weight")
    assert set(loaded.used) | set(loaded.fresh) == set(network.state_dict())


@pytest.mark.shared
def test_it_hears_music_in_music_through_our_windows(shared_dir):
    network = build(ModelConfig("mn04", 527)).eval()
    load_weights(network, shared_dir / "weights" / "mn04_as_mAP_432.safetensors", keep_head=True)
    for path in sorted((shared_dir / "data" / "gtzan" / "clips").iterdir()):
        frames = log_mel(read_clip(path, SPEC.sample_rate_hz).pcm, TABLES).frames_q9
        cells = np.stack([normalize(frames[:, s : s + 128], TABLES).cells for s in range(0, 1024, 128)])
        with torch.inference_mode():
            logits = network(network_input(cells, SPEC.top_db)).mean(dim=0)
        assert int(logits.argmax()) == MUSIC, path.name
        assert torch.sigmoid(logits[MUSIC]) > 0.5
        assert torch.sigmoid(logits[SPEECH]) < 0.3
