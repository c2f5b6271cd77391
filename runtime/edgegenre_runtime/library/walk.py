"""Which files a library has: every audio file below the folders, each once, whatever links lead in circles."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgegenre_runtime.audio.files import EXTENSIONS
from edgegenre_runtime.errors import DataError

from .file_list import FoundFile
from .store import path_bytes

__all__ = ["check_roots", "find_files"]

_EXTENSIONS = tuple(extension.encode() for extension in EXTENSIONS)


def check_roots(roots: Sequence[Path | str]) -> list[bytes]:
    """Return absolute folders or files as bytes; raises :class:`DataError` for one that is not there or neither."""
    for root in roots:
        if not os.path.exists(root):
            raise DataError(f"{root}: there is no such folder or file; is the drive mounted?")
        if not os.path.isdir(root) and not os.path.isfile(root):
            raise DataError(f"{root}: is no folder and no regular file: a scan reads what lies on a disk")
    return [path_bytes(root) for root in roots]


def find_files(roots: Sequence[bytes], on_error: Callable[[str], None]) -> Iterator[FoundFile]:
    """Yield the audio files below ``roots``, folder by folder in the order of their names; memory stays flat.

    Hidden files and folders are left out. A link is followed where it leads out of the roots, so that nothing comes
    twice, and no folder is entered twice.

    Parameters
    ----------
    roots
        Absolute folders, or files.
    on_error
        Takes one sentence on a folder that cannot be looked through.
    """
    real_roots = [os.path.realpath(root) for root in roots]
    entered: set[tuple[int, int]] = set()
    given: set[bytes] = set()  # files that are roots
    stack = list(reversed(roots))
    stack.sort(key=os.path.isfile)  # files first: the last is the next
    while stack:
        path = stack.pop()
        try:
            status = os.stat(path)
            if not stat.S_ISDIR(status.st_mode):
                if path not in given:
                    given.add(path)
                    yield _found(path, status)
                continue
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            on_error(f"{os.fsdecode(path)}: cannot be looked through ({(error.strerror or str(error)).lower()})")
            continue
        folders: list[bytes] = []
        for entry in names:
            if entry.name.startswith(b".") or (entry.is_symlink() and _is_inside(entry.path, real_roots)):
                continue
            if _is_folder(entry):
                folders.append(entry.path)
            elif entry.path in given:
                continue
            elif entry.name.lower().endswith(_EXTENSIONS) and (found := _status(entry)) is not None:
                yield _found(entry.path, found)
        stack += reversed(folders)


def _found(path: bytes, status: os.stat_result) -> FoundFile:
    return FoundFile(path, status.st_size, status.st_mtime_ns)


def _is_inside(link: bytes, real_roots: Sequence[bytes]) -> bool:
    """Whether a link leads to what is found without it."""
    target = os.path.realpath(link)
    return any(target == root or target.startswith(root.rstrip(b"/") + b"/") for root in real_roots)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _status(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    """Return the status of a regular file; None for pipes, devices and links to nothing."""
    try:
        status = entry.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None
