"""Reading TOML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import parse_toml

__all__ = ["read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises :class:`DataError` if it cannot be read."""
    try:
        return parse_toml(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not TOML ({error})") from error
