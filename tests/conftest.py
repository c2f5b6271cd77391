"""Fixtures that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgegenre.toy import write_dataset


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten styles of toy music with four clips of 10 s each, in the GTZAN layout."""
    folder = tmp_path_factory.mktemp("toy")
    write_dataset(folder, clips_per_style=4, seconds=10.0, seed=7)
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with GTZAN and weights beside the repository; skips the test where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data" / "gtzan").is_dir():
        pytest.skip(f"needs the shared data in {folder}, which is not there")
    return folder
