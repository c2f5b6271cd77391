"""The place of a bundle on a device: ``NAME``, the one before it as ``NAME.previous``, and the swap between them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.bundle import check_destination
from edgegenre_runtime.network.bundle_files import MANIFEST, reason_of
from edgegenre_runtime.network.bundle_names import default_bundle, installed_bundles, previous_of, user_folder
from edgegenre_runtime.network.personal.store import beside

__all__ = ["find_slot", "locked", "swap_in"]

_WORK = ".update"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def find_slot(given: Path | str) -> Path:
    """Return the folder of a bundle, by its path or name, that an update may replace or make.

    Raises
    ------
    UsageError
        If it is a file, or ships with the package.
    BundleError
        If something else is there, or its parent cannot be written.
    """
    path, name = Path(given), str(given)
    if name == path.name and not os.path.exists(path / MANIFEST):
        path = installed_bundles().get(name, user_folder() / name)
    path = Path(os.path.realpath(path))
    if path.is_relative_to(os.path.realpath(default_bundle().parent)):
        raise UsageError(f"bundle {given} ships with the package, which an update leaves alone: give another --bundle")
    if path.is_file():
        raise UsageError(f"{path} is a file, and an update replaces a bundle's folder: unpack it, and give the folder")
    previous = previous_of(path)
    if os.path.lexists(previous) and not (previous / MANIFEST).is_file():
        raise UsageError(f"{previous}, where the bundle before an update is kept, is no bundle: move it away")
    return check_destination(path)


@contextlib.contextmanager
def locked(slot: Path) -> Iterator[Path]:
    """Yield an empty folder beside a bundle to work in, one update at a time; it is gone afterwards.

    Raises
    ------
    BundleError
        If another update is running, or the folder cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            parent = os.open(slot.parent, os.O_RDONLY)
            stack.callback(os.close, parent)
            fcntl.flock(parent, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in slot.parent.glob(f".{slot.name}.*{_WORK}"):  # of an update that was killed
                shutil.rmtree(left, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=f".{slot.name}.", suffix=_WORK, dir=slot.parent))
        except BlockingIOError as error:
            raise BundleError(f"another update of a bundle in {slot.parent} is running: wait for it") from error
        except OSError as error:
            raise BundleError(f"{slot.parent} cannot be used for an update ({reason_of(error)})") from error
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        yield work


def swap_in(new: Path, slot: Path, work: Path, *, keeps_learned: bool) -> None:
    """Put a bundle into its place at once; the one that was there becomes ``NAME.previous``.

    Parameters
    ----------
    new
        The folder of the new one, on the same file system.
    slot
        The place.
    work
        A folder for what is replaced.
    keeps_learned
        Whether genres that were learned beside the bundle fit the new one; else they stay with the one before.

    Raises
    ------
    BundleError
        If a rename fails; the bundle in its place is then what it was.
    """
    previous = previous_of(slot)
    learned, kept, replaced = beside(slot), beside(previous), work / "replaced"
    try:
        new.chmod(0o755)
        if not slot.exists():
            new.rename(slot)
        else:
            if previous.exists():
                previous.rename(replaced)
            try:
                _exchange(new, slot, previous)
            except BaseException:
                if replaced.exists():
                    replaced.rename(previous)
                raise
        if not keeps_learned and learned.exists():
            learned.replace(kept)
        _sync_folder(slot.parent)
    except OSError as error:
        raise BundleError(f"{slot} could not be replaced ({reason_of(error)}): what was there is unchanged") from error


def _exchange(new: Path, slot: Path, previous: Path) -> None:
    """Exchange two folders at once where the file system can, else by two renames; the old one becomes ``previous``."""
    if _exchanged(new, slot):
        new.rename(previous)
        return
    slot.rename(previous)
    try:
        new.rename(slot)
    except BaseException:
        previous.rename(slot)
        raise


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names (renameat2, Linux); False where the C library or the file system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
