"""How a long command says what it is doing."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "no_progress"]

Progress = Callable[[str], None]
"""Called with a line before each step."""


def no_progress(line: str) -> None:
    """Say nothing."""
