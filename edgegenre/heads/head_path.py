"""Where a head lies: found without what reads it, so that commands refuse at once and on the base install."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["HEAD_NAME", "find_head"]

HEAD_NAME = "head.json"


def find_head(checkpoint: Path) -> Path | None:
    """Return the ``head.json`` beside a checkpoint given by its file or its run's folder, if there is one."""
    path = (checkpoint if os.path.isdir(checkpoint) else checkpoint.parent) / HEAD_NAME
    is_best = os.path.isdir(checkpoint) or checkpoint.stem == "best"
    return path if is_best and os.path.exists(path) else None
