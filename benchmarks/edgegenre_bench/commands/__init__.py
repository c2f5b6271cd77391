"""The commands of ``edgegenre bench``."""

from __future__ import annotations

import typer

from . import bench

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the root app (entry-point group ``edgegenre.commands``)."""
    app.add_typer(bench.app, name="bench")
