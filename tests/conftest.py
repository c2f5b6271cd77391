"""Fixtures that several tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from edgegenre.data.feature_cache import FeatureCache, save_cache
from edgegenre.toy.dataset import write_dataset
from edgegenre_runtime.frontend import native, released

# A loaded machine is no fault of the code: examples may take as long as they need.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten styles of toy music with four clips of 10 s each, in the GTZAN layout."""
    folder = tmp_path_factory.mktemp("toy")
    write_dataset(folder, clips_per_style=4, seconds=10.0, seed=7)
    return folder


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """One Playwright a process: a second one beside it is refused."""
    from playwright.sync_api import sync_playwright  # here: few tests need it

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of GTZAN and weights, $EDGEGENRE_SHARED or beside the checkout; skips where it is missing."""
    folder = Path(os.environ.get("EDGEGENRE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "data" / "gtzan").is_dir():
        pytest.skip(f"needs GTZAN in {folder} ($EDGEGENRE_SHARED), which is not there")
    return folder


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature cache of 24 random tracks in three classes, eight to a part; clip names are hostile to HTML."""
    tables, rng = released("wide9s"), np.random.default_rng(5)
    lengths = rng.integers(100, 400, 24)
    cache = FeatureCache(
        frames=rng.integers(2000, 9000, (128, lengths.sum())).astype(np.int16),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        y=np.arange(24) % 3,
        labels=("blues", "jazz", "rock $x$"),
        names=tuple(f"<script>{i:02}&.wav" for i in range(24)),
        groups=tuple(f"artist {i // 2}" for i in range(24)),
        split=np.repeat(np.arange(3, dtype=np.uint8), 8),
        spec=tables.spec,
        spec_hash=tables.spec_hash,
    )
    path = tmp_path_factory.mktemp("small") / "small.npz"
    save_cache(cache, path)
    return path


@pytest.fixture(scope="session")
def small_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two checkpoints of fresh networks for the classes of ``small_cache``."""
    import torch  # here: the tests of the base install run without

    from edgegenre.checkpoint import Checkpoint, save_checkpoint
    from edgegenre.models import ModelConfig, build

    tables, folder = released("wide9s"), tmp_path_factory.mktemp("checkpoints")
    config, paths = ModelConfig("cnn", 3), (folder / "a.safetensors", folder / "b.safetensors")
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        network = build(config)
        with torch.no_grad():  # a fresh network is near indifferent; this one has opinions
            network.get_parameter("head.weight").mul_(40)
        state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        labels = ("blues", "jazz", "rock $x$")
        save_checkpoint(path, Checkpoint(config, labels, tables.spec, tables.spec_hash, state, {}))
    return paths


@pytest.fixture(scope="module", params=["numpy", "c"])
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests with each implementation of the front-end that is here."""
    if request.param == "c" and native.load() is None:
        pytest.skip("the C front-end was not built: no C compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEGENRE_FRONTEND", request.param)
        yield request.param


@pytest.fixture(scope="session")
def textures_checkpoint() -> Any:
    """The seed's CNN, confident about four synthetic textures (tests/textures.py)."""
    from textures import trained_checkpoint

    return trained_checkpoint()


@pytest.fixture(scope="session")
def textures_walk(textures_checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """Its int8 bundle, converted once for all tests and accepted by the gate; and the modules that the job visited."""
    from textures import export  # here: the converters take seconds to import
    from walk import recorded_walk

    return recorded_walk(lambda: export(tmp_path_factory.mktemp("export") / "bundle", textures_checkpoint))


@pytest.fixture(scope="session")
def textures_export(textures_walk: tuple[Any, list[str]]) -> Any:
    """The result of ``textures_walk``."""
    return textures_walk[0]
