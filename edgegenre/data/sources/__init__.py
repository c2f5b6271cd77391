"""Data sets as people have them: a folder of folders, or a CSV manifest."""

from __future__ import annotations

import os
from pathlib import Path

from edgegenre_runtime.errors import UsageError

from ..dataset import Dataset
from .folder import scan_folder
from .manifest import read_manifest

__all__ = ["open_dataset"]


def open_dataset(path: Path | str, levels: int = 1) -> Dataset:
    """Read a folder with one sub-folder per class, or a CSV manifest.

    Parameters
    ----------
    path
        The folder or the CSV.
    levels
        As in :func:`.folder.scan_folder`.

    Raises
    ------
    DataError
        What :func:`.folder.scan_folder` and :func:`.manifest.read_manifest` raise.
    UsageError
        ``levels`` for a manifest, whose label paths are as deep as they are.
    """
    if os.path.isdir(path):
        return scan_folder(path, levels)
    if levels != 1:
        raise UsageError(f"{path}: --levels is for a folder; a manifest's labels are paths where they hold a slash")
    return read_manifest(path)
