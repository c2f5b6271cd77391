"""Temporal and tags: its head sees both, standardized, and its fit starts from what a label means in tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_artist import write_published
from published_musicnn import write_published_musicnn
from tiny import TABLES, tiny_cache

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.evaluate.embeddings import embed
from edgegenre.models import ModelConfig, Network, build
from edgegenre.models.joined.base import Joined
from edgegenre.models.joined.tag_prior import prior_weights
from edgegenre.models.published.musicnn import TAGS
from edgegenre.pretrained import load_members, load_weights
from edgegenre_export.quantize.equalize import equalize

CELLS = np.random.default_rng(0).integers(-128, 128, (4, 128, 128)).astype(np.int8)
WINDOWS = (torch.from_numpy(CELLS).float()[:, None] + 128) * (80 / 255)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("published")
    return [write_published(folder / "artist.npz"), write_published_musicnn(folder / "musicnn.npz")]


@pytest.fixture
def network(files: list[Path]) -> Network:
    torch.manual_seed(0)
    made = build(ModelConfig("temporal_tags", 3, 0.0)).eval()
    assert isinstance(made, Joined)
    load_members(made, files)
    return made


def test_the_head_sees_the_means_and_the_tags(network: Network, files: list[Path]) -> None:
    temporal, musicnn = (build(ModelConfig(name, 2, 0.0)).eval() for name in ("temporal", "musicnn"))
    load_weights(temporal, files[0])
    load_weights(musicnn, files[1])
    seen = embed(network, WINDOWS)
    assert seen.shape == (4, 512 + 50)
    torch.testing.assert_close(seen[:, :512], embed(temporal, WINDOWS))
    torch.testing.assert_close(seen[:, 512:], embed(musicnn, WINDOWS)[:, 200:])
    assert isinstance(network, Joined)
    assert network.tags() == {tag: 512 + i for i, tag in enumerate(TAGS)}


def test_a_regression_is_on_standardized_features(network: Network) -> None:
    seen = embed(network, WINDOWS)
    mean, deviation = seen.mean(dim=0), seen.std(dim=0) + 0.1
    weight, bias = torch.randn(3, 562), torch.randn(3)
    network.set_regression(mean, deviation, weight, bias)
    torch.testing.assert_close(embed(network, WINDOWS), (seen - mean) / deviation, rtol=1e-3, atol=1e-3)
    with torch.inference_mode():
        made = network(WINDOWS)
    torch.testing.assert_close(made, (seen - mean) / deviation @ weight.T + bias, rtol=1e-3, atol=1e-3)


def test_equalized_it_answers_the_same(network: Network) -> None:
    even = equalize(network, CELLS, 80)
    with torch.inference_mode():
        wanted = network(WINDOWS)
        torch.testing.assert_close(even(WINDOWS), wanted, rtol=0, atol=1e-4 * wanted.abs().max().item())
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, even.state_dict()[key])}
    scales = {f"members.musicnn.{layer}.scale.weight" for layer in ("front.0", "front.4", "middle.0", "middle.2")}
    assert changed >= scales


def test_a_label_means_its_tags() -> None:
    tags = {"rock": 0, "Hip-Hop": 1, "classic rock": 2, "hard rock": 3, "alternative rock": 4, "punk": 5}
    heard = np.random.default_rng(0).normal(size=(50, 7))
    weights = prior_weights(("hiphop", "Rock", "Punk", "polka"), tags, heard)
    assert (weights > 0).tolist() == [
        [False, True, False, False, False, False, False],
        [True, False, True, True, True, False, False],
        [False, False, False, False, False, True, False],
        [False] * 7,
    ]
    assert (heard @ weights[:3].T).std(axis=0) == pytest.approx(1)


def test_the_table_names_tags_that_there_are() -> None:
    genres = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
    made = prior_weights(genres, {tag: i for i, tag in enumerate(TAGS)}, np.eye(50))
    assert (made > 0).sum(axis=1).tolist() == [1, 3, 1, 5, 1, 1, 2, 3, 5, 4]


def test_its_head_is_fitted_from_the_tags_by_the_command(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tiny_cache()
    save_cache(cache, tmp_path / "tiny.npz")
    weights = [option for path in files for option in ("--weights", str(path))]
    call = ["fit-head", str(tmp_path / "tiny.npz"), "--model", "temporal_tags", "--spec", "wide9s", *weights]
    assert main([*call, "--tag-prior", "0.5", "--out", str(tmp_path / "run")]) == 0
    assert "fitted on 6 tracks" in capsys.readouterr().out
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint.meta["tag_prior"] == 0.5
    assert checkpoint.spec_hash == TABLES.spec_hash
    assert to_module(checkpoint).stages()[-1][1].weight.shape == (3, 562)
