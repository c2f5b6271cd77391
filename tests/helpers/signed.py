"""Keys and signed copies of the shipped bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgegenre_export.package.sign import new_key_pair, read_keys, sign_bundle
from edgegenre_runtime.network.bundle_names import default_bundle


def make_key(folder: Path, name: str = "release") -> Path:
    """Make a key pair; returns the private file, beside which the .pub lies."""
    new_key_pair(folder / f"{name}.key")
    return folder / f"{name}.key"


def signed_bundle(folder: Path, *keys: Path, version: int = 1, name: str = "genres") -> Path:
    """Copy the shipped bundle into a folder and sign it."""
    shutil.copytree(default_bundle(), folder)
    sign_bundle(folder, read_keys(keys), name=name, version=version)
    return folder
