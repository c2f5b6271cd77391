"""Marks that the instruction counter sees, and regions of code between them. Imports the standard library alone."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Sequence

__all__ = ["mark", "run_marked"]

_MAGIC = 0x5157  # as in c/count_instructions.c


def mark(tag: int) -> None:
    """Make the system call that the counter sees; the kernel refuses it and nothing else happens."""
    with contextlib.suppress(OSError):
        os.getpriority(_MAGIC, tag)


def run_marked(regions: Sequence[Callable[[], object]]) -> None:
    """Run an empty region, then every region, each once to warm up and once between its marks.

    Region ``i`` (the empty one is 0) lies between the marks ``2 i`` and ``2 i + 1``.
    """
    for index, region in enumerate((lambda: None, *regions)):
        region()
        mark(2 * index)  # first call: its own code is translated and warm
        gc.collect()
        gc.disable()
        mark(2 * index)
        region()
        mark(2 * index + 1)
        gc.enable()
