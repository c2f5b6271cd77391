"""A data set as a folder of folders, one for each class, with or without a split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.taxonomy import join_path
from edgegenre_runtime.printable import printable

from ..dataset import SPLIT_NAMES, Dataset, Track, make_dataset

__all__ = ["scan_folder"]

_PARTS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_PART_OF_FOLDER = {name: part for part, names in _PARTS.items() for name in names}


def scan_folder(root: Path | str, levels: int = 1) -> Dataset:
    """Read a folder with one sub-folder per class (the GTZAN layout).

    Where the sub-folders are called train, valid and test (or validation, val, dev …), the classes are the folders in
    them, and the data set has that split.

    Parameters
    ----------
    root
        Folder of folders; files are found recursively by :data:`edgegenre_runtime.audio.files.EXTENSIONS`, and names
        that begin with a dot are passed over. Each track is its own group.
    levels
        How many levels of folders are classes: with 2, ``rock/punk/album/a.wav`` has the label path ``rock/punk``, and
        ``rock/b.wav`` the label ``rock``.

    Raises
    ------
    DataError
        Not a folder, a folder in it that cannot be read, no tracks, tracks of one class only, a class whose name
        cannot be used, or a part of the split missing.
    """
    root = Path(root)
    if not os.path.isdir(root):
        raise DataError(f"{root}: is not a folder; give a folder with one sub-folder per class, or a CSV manifest")
    files = list(_audio_files(root))
    nested = [parts for parts in files if len(parts) > 1]
    if files and not nested:
        raise DataError(
            f"{root}: its audio files ({len(files)}) lie in the folder itself; put them into one sub-folder per class"
        )
    if nested and all(parts[0].lower() in _PART_OF_FOLDER for parts in nested):
        return make_dataset(_tracks_in_parts(root, nested, levels), root)
    return make_dataset((_track(root, parts, label=join_path(parts[:-1][:levels])) for parts in nested), root)


def _tracks_in_parts(root: Path, files: list[tuple[str, ...]], levels: int) -> list[Track]:
    """Return the tracks of ``PART/CLASS/…``; raises :class:`DataError` without all three parts."""
    flat = next((parts for parts in files if len(parts) < 3), None)
    if flat is not None:
        raise DataError(
            f"{root}: its folders are called train, test …, and {'/'.join(flat)} lies in one of them; put one "
            "sub-folder per class into each part, or give a manifest"
        )
    tracks = [
        _track(root, parts, label=join_path(parts[1:-1][:levels]), split=_PART_OF_FOLDER[parts[0].lower()])
        for parts in files
    ]
    missing = [part for part in SPLIT_NAMES if part not in {track.split for track in tracks}]
    if missing:
        raise DataError(
            f"{root}: has folders for a split, but none for {' and '.join(missing)}; all of {', '.join(SPLIT_NAMES)} "
            "are needed, or one sub-folder per class without a split"
        )
    return tracks


def _track(root: Path, parts: tuple[str, ...], *, label: str, split: str = "") -> Track:
    name = printable("/".join(parts))
    return Track(name=name, path=root.joinpath(*parts), label=label, group=name, split=split)


def _audio_files(root: Path) -> Iterator[tuple[str, ...]]:
    """Yield the audio files below a folder as names from there on; a link to a folder counts at the first level."""
    try:
        entries = sorted(entry for entry in os.listdir(root) if not entry.startswith("."))
    except OSError as error:
        raise _unreadable(error, root) from error
    for entry in entries:
        if os.path.isfile(root / entry):
            yield from ((entry,) for _ in range(_is_audio(entry)))
            continue
        for folder, folders, names in os.walk(root / entry, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            place = Path(folder).relative_to(root).parts
            for name in sorted(names):
                if _is_audio(name) and not name.startswith(".") and os.path.isfile(os.path.join(folder, name)):
                    yield (*place, name)


def _is_audio(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _raise(error: OSError) -> None:
    raise _unreadable(error, error.filename) from error


def _unreadable(error: OSError, folder: object) -> DataError:
    return DataError(f"{folder}: cannot read the folder ({(error.strerror or str(error)).lower()})")
