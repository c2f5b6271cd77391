"""Changing a file without risk: a copy beside it is changed, and takes its place when it is whole and on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from edgegenre_runtime.atomic_write import temporary_beside
from edgegenre_runtime.errors import DataError

__all__ = ["check_replaceable", "edited_copy"]

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextlib.contextmanager
def edited_copy(path: Path, *, keep_mtime: bool) -> Iterator[Path]:
    """Give a copy of a file to change, which replaces it on success and vanishes on failure.

    Permissions, owner and extended attributes stay; of a symbolic link, the file it leads to is replaced.

    Parameters
    ----------
    path
        The file.
    keep_mtime
        Whether the new one has the old one's modification time.

    Raises
    ------
    DataError
        The file is read-only, has several names (hard links), is locked by another program, or vanished; or the
        copy cannot be written. The file is as it was.
    """
    real = Path(os.path.realpath(path))
    temporary = temporary_beside(real)
    try:
        before = check_replaceable(path)
        shutil.copyfile(real, temporary)
        yield temporary
        shutil.copystat(real, temporary)
        if not keep_mtime:
            os.utime(temporary)
        if (temporary.stat().st_uid, temporary.stat().st_gid) != (before.st_uid, before.st_gid):
            os.chown(temporary, before.st_uid, before.st_gid)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        now = real.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DataError(f"{path}: another program has just changed it: left alone")
        temporary.replace(real)
    except OSError as error:
        raise DataError(f"{path}: cannot write ({(error.strerror or str(error)).lower()})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def check_replaceable(path: Path) -> os.stat_result:
    """Return the file's status, if nothing speaks against replacing it; raises :class:`DataError` for what does."""
    import fcntl

    real = Path(os.path.realpath(path))
    status = real.stat()
    if not status.st_mode & _WRITABLE or not os.access(real, os.W_OK):
        raise DataError(f"{path}: is read-only: left alone; to change that:  chmod u+w FILE")
    if status.st_nlink > 1:
        raise DataError(f"{path}: has {status.st_nlink} names (hard links), of which one would change: left alone")
    with real.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{path}: is locked by another program: left alone") from error
    return status
