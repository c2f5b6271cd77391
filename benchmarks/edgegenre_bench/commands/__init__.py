"""The commands of ``edgegenre bench``."""

from __future__ import annotations

import typer

from edgegenre.typer_app import CommandApp

from .emulate import emulate
from .frontend import frontend, instructions, matrix
from .library import library
from .parity import parity
from .results import check, compare, report
from .run import run

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the root app (entry-point group ``edgegenre.commands``)."""
    bench = CommandApp(help="Parity and cost, measured here.")
    for command in (run, emulate, parity, compare, report, check, frontend, matrix, instructions, library):
        bench.command(command.__name__)(command)
    app.add_typer(bench, name="bench")
