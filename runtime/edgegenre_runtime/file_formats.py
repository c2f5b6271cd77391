"""JSON, TOML and ``.npz`` from outside: whatever is wrong with the content is a :class:`ValueError`.

The parsers behind raise a dozen kinds of errors for damaged content (``RecursionError``, ``zipfile.BadZipFile``,
``zlib.error``, ``lzma.LZMAError``, ``tokenize.TokenError``, ``MemoryError`` for a header that promises terabytes …).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

__all__ = ["parse_json", "parse_toml", "read_npz"]


def parse_json(content: str | bytes) -> Any:
    """Return the value of a JSON document in UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Return the content of a TOML document in UTF-8; raises ValueError if it is none, or nested too deeply."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(content.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_npz(source: Path | BinaryIO, keys: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an ``.npz``; no pickle is read.

    Parameters
    ----------
    source
        A file, or a stream that can seek.
    keys
        Names of the arrays to read; all if None.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not an ``.npz``, is damaged, or lacks an array.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:  # numpy leaves a file open that it cannot read
            return read_npz(stream, keys)
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (archive.files if keys is None else keys)}
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"not an .npz archive with the arrays it must have, or damaged ({error})") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # other members come as bytes
        raise ValueError("not an .npz archive: it holds something else than arrays")
    return arrays
