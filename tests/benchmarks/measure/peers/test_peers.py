"""The peers are fair: each computes the same network on the same music, and answers as this project does."""

from pathlib import Path

import litert_torch
import numpy as np
import pytest
import torch
from onnx_bundle import write_onnx_bundle
from torch import nn

from edgegenre.checkpoint import to_module
from edgegenre.toy.dataset import render
from edgegenre_bench.measure.peers.callables import LIBROSA, OURS, build_peers
from edgegenre_bench.measure.peers.timings import _time, matching_checkpoint, peer_timer, write_peer_files
from edgegenre_bench.measure.timing import Timing
from edgegenre_export.silence import quiet
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import SpecError
from edgegenre_runtime.network.golden import read_golden

pytestmark = pytest.mark.slow


class Waveform(nn.Module):
    def forward(self, pcm):
        return pcm.reshape(-1, 100).abs().mean(dim=0)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return GenreClassifier.load(write_onnx_bundle(tmp_path_factory.mktemp("onnx") / "b"))


@pytest.fixture(scope="module")
def peers(classifier, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("peers")
    checkpoint = matching_checkpoint(None, classifier)
    write_peer_files(folder, checkpoint, classifier.tables.spec)
    network = to_module(checkpoint).eval()
    with quiet():
        (folder / "waves.tflite").write_bytes(
            litert_torch.convert(Waveform().eval(), (torch.zeros(15600),)).model_content()
        )

    def by_torch(values):
        with torch.inference_mode():
            return network(torch.from_numpy(values)).numpy()

    n_samples = len(read_golden(classifier.bundle)["pcm"][0])
    pcm = render("metal", 3, 15.0)[:n_samples]  # of which the network is sure in float and in int8
    return build_peers(classifier, pcm, folder, ("librosa", "onnxruntime"), by_torch, folder / "waves.tflite")


def test_every_pipeline_answers_the_same(peers):
    answers = {peer.name: np.asarray(peer.window()).reshape(-1) for peer in peers[:-1]}
    ours = [name for name in answers if name.startswith(OURS)]
    assert len(answers) - len(ours) == 5
    assert ours[-1].endswith(("LiteRT int8", "XNNPACK"))
    assert LIBROSA in answers
    assert all(np.abs(answers[name] - answers[ours[0]]).max() < 0.3 for name in ours)
    assert len({int(answer.argmax()) for answer in answers.values()}) == 1
    assert np.abs(answers[LIBROSA] - answers["librosa, torch eager"]).max() < 0.01


def test_the_front_ends_make_the_same_window(peers):
    cells = {peer.name: peer.mel() for peer in peers[:-1]}
    ours, scipys = cells[peers[0].name].astype(int), cells["scipy float32, LiteRT int8"].astype(int)
    assert np.abs(ours - scipys).max() <= 2
    decibels = (ours + 128) * 80 / 255
    assert np.abs(decibels - cells[LIBROSA]).mean() < 0.2


def test_a_model_of_pcm_is_a_peer_with_its_own_length(peers):
    waves = peers[-1]
    assert waves.audio_s == pytest.approx(0.975)
    assert waves.mel is None
    waves.window()


def test_figures_are_the_fastest_rounds(peers, monkeypatch):
    def timed(pipelines, warm_up, repeats):
        return [Timing(stage, 1, repeats, 1.0, 2.0, 3.0, 4.0) for stage, _ in pipelines]

    monkeypatch.setattr("edgegenre_bench.measure.peers.timings.time_in_turn", timed)
    rows = _time(peers)
    assert [row["name"] for row in rows] == [peer.name for peer in peers]
    assert rows[0]["window"] == 1.0
    assert rows[-1]["mel"] == 0.0


def test_a_checkpoint_of_another_network_is_refused(classifier, small_checkpoints):
    with pytest.raises(SpecError, match="give a matching pair"):
        matching_checkpoint(small_checkpoints[0], classifier)


def test_the_peers_of_bench_run_are_timed(classifier, monkeypatch):
    monkeypatch.setattr("edgegenre_bench.measure.peers.timings._WARM_UP", 1)
    monkeypatch.setattr("edgegenre_bench.measure.peers.timings._REPEATS", 2)
    threads = torch.get_num_threads()
    rows = peer_timer()(classifier)
    assert torch.get_num_threads() == threads
    assert {LIBROSA, "librosa, torch eager"} < {row["name"] for row in rows}
    assert all(row["window"] > 0 for row in rows)
