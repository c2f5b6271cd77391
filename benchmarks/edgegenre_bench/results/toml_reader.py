"""Reading TOML: the standard library from Python 3.11 on, tomli before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises :class:`DataError` if it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not TOML ({error})") from error
