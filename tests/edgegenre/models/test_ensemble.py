"""The ensemble: its head sees what its members' heads would, and its weights are told apart by what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_artist import write_published
from published_musicnn import write_published_musicnn
from safetensors.torch import save_file
from tiny import tiny_cache

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.evaluate.embeddings import embed
from edgegenre.models import ModelConfig, build
from edgegenre.models.joined.ensemble import Ensemble
from edgegenre.pretrained import load_members, load_weights
from edgegenre_runtime.errors import UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    mn04 = build(ModelConfig("mn04", 527))
    save_file(mn04.state_dict(), folder / "mn04.safetensors")
    return {
        "artist": write_published(folder / "artist.npz"),
        "mn04": folder / "mn04.safetensors",
        "musicnn": write_published_musicnn(folder / "musicnn.npz"),
    }


def _ensemble() -> Ensemble:
    network = build(ModelConfig("ensemble", 3, 0.0))
    assert isinstance(network, Ensemble)
    return network


def test_the_head_sees_what_the_members_hear(files: dict[str, Path]) -> None:
    network = _ensemble()
    load_members(network, [files["musicnn"], files["artist"], files["mn04"]])  # in any order
    window = torch.from_numpy(np.random.default_rng(1).uniform(0, 80, (2, 1, 128, 128)).astype(np.float32))
    seen = embed(network, window)
    first = 0
    for name, n_features in (("artist", 1536), ("mn04", 384), ("musicnn", 250)):
        member = build(ModelConfig(name, 2, 0.0))
        load_weights(member, files[name])
        part = seen[:, first : first + n_features]
        if name == "mn04":
            with torch.inference_mode():
                alone = member.eval().features(member.mels(window)).mean(dim=(2, 3))
        else:
            alone = embed(member, window)
        np.testing.assert_allclose(part.numpy(), alone.numpy(), rtol=1e-4, atol=1e-4)
        first += n_features
    assert seen.shape == (2, first)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("artist", "mn04"), "missing: musicnn"),
        (("artist", "mn04", "artist"), "a second file of one of artist, mn04, musicnn"),
        (("artist", "other", "musicnn"), "of none of artist, mn04, musicnn"),
    ],
)
def test_weights_that_are_not_the_members_are_refused(
    files: dict[str, Path], tmp_path: Path, given: tuple[str, ...], words: str
) -> None:
    np.savez(tmp_path / "other.npz", w1=np.zeros(3, np.float32))
    with pytest.raises(UsageError, match=words):
        load_members(_ensemble(), [files.get(name, tmp_path / "other.npz") for name in given])


def test_its_head_is_fitted_by_the_command(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    call = [
        "fit-head",
        str(tmp_path / "tiny.npz"),
        "--model",
        "ensemble",
        "--spec",
        "wide9s",
        "--out",
        str(tmp_path / "run"),
    ]
    given = [option for path in files.values() for option in ("--weights", str(path))]
    assert main([*call, *given]) == 0
    assert "fitted on 6 tracks; validation accuracy" in capsys.readouterr().out
    state = to_module(load_checkpoint(tmp_path / "run")).state_dict()
    network = _ensemble()
    load_members(network, list(files.values()))
    expected = {key: value for key, value in network.state_dict().items() if not key.startswith("head.")}
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    assert main([*call, *given[:4], "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert "missing: musicnn" in error
    assert len(error.splitlines()) == 1
