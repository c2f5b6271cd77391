"""Data sets as people have them: a folder of folders, or a CSV manifest."""

from __future__ import annotations

import os
from pathlib import Path

from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError, UsageError

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
        Nothing is there, or a file of another kind; and what :func:`.folder.scan_folder` and
        :func:`.manifest.read_manifest` raise.
    UsageError
        ``levels`` for a manifest, whose label paths are as deep as they are.
    """
    if os.path.isdir(path):
        return scan_folder(path, levels)
    if not os.path.exists(path):
        raise DataError(f"{path}: there is no such folder or CSV manifest")
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".npz" or suffix in EXTENSIONS:
        what = "a feature cache, which has its split already" if suffix == ".npz" else "one audio file"
        raise DataError(f"{path}: is {what}; give a folder with one sub-folder per class, or a CSV manifest")
    if levels != 1:
        raise UsageError(f"{path}: --levels is for a folder; a manifest's labels are paths where they hold a slash")
    return read_manifest(path)
