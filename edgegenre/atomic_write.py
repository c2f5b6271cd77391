"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgegenre_runtime.errors import DataError

__all__ = ["written_beside"]


@contextlib.contextmanager
def written_beside(path: Path | str) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that replaces it on success and vanishes on failure.

    Raises
    ------
    DataError
        The file cannot be written: no such folder, no permission, disk full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as handle:
            yield handle
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot write ({(error.strerror or str(error)).lower()})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
