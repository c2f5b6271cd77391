"""Paths in records that are published: what a reader needs of them, without the folders of one machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["recorded_path", "recorded_paths"]

_KEPT_PARTS = 2
_ABSOLUTE = re.compile(r"(?<![^\s\"'=,(])/[^\s\"',)]+")


def recorded_path(path: str) -> str:
    """Return a path as records name it.

    One below the working directory is relative to it. Of any other absolute path the last two parts are kept, the
    home folder's name never: ``/media/disk/gtzan/clips`` is ``gtzan/clips``. Everything else stays as it is.
    """
    given = Path(path)
    if not given.is_absolute():
        return path
    try:
        here, home = Path.cwd(), Path.home()
    except (OSError, RuntimeError):  # the folder was deleted, or this user has no home
        here = home = Path("/")
    if here != Path("/") and given.is_relative_to(here):
        return str(given.relative_to(here))
    parts = given.relative_to(home if given.is_relative_to(home) else "/").parts
    return "/".join(parts[-_KEPT_PARTS:]) or "."


def recorded_paths(value: Any) -> Any:
    """Return a JSON-ready value whose absolute paths, alone or as words of a text, are :func:`recorded_path`'s."""
    if isinstance(value, str):
        return _ABSOLUTE.sub(lambda found: recorded_path(found[0]), value)
    if isinstance(value, Mapping):
        return {key: recorded_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [recorded_paths(item) for item in value]
    return value
