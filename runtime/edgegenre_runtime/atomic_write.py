"""Writing files whole or not at all: into a temporary file beside the target, which is then renamed."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from .errors import DataError

__all__ = ["temporary_beside", "write_together", "written_beside"]

_LONGEST_NAME = 240  # bytes; with what is added it stays within the 255 of most file systems


def temporary_beside(path: Path) -> Path:
    """Return the hidden name of a temporary file beside another one, whose own name may be as long as names can be."""
    name, full = path.name, os.fsencode(path.name)
    if len(full) > _LONGEST_NAME:
        name = f"{name[:50]}.{zlib.crc32(full):08x}"
    return path.with_name(f".{name}.{os.getpid()}.part")


@contextlib.contextmanager
def written_beside(path: Path | str, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that replaces it on success and vanishes on failure.

    Parameters
    ----------
    path
        The file to write or to replace.
    mode
        Its permissions, e.g. ``0o644``; None leaves them to the umask.

    Raises
    ------
    DataError
        The file cannot be written: no such folder, no permission, disk full.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as handle:
            yield handle
            _sync(handle)
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot write ({(error.strerror or str(error)).lower()})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together: the content of every one is on disk before the first is renamed.

    Raises
    ------
    DataError
        One of them cannot be written; then all of them are what they were before.
    """
    with contextlib.ExitStack() as stack:
        for path, content in files.items():
            handle = stack.enter_context(written_beside(path))
            handle.write(content)
            _sync(handle)


def _sync(handle: BinaryIO) -> None:
    handle.flush()
    os.fsync(handle.fileno())
