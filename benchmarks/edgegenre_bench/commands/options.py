"""Options and output that the bench commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError

__all__ = ["BundleOption", "refuse_without", "show_progress"]

BundleOption = Annotated[Path | None, typer.Option(help="Bundle folder or .zip; the shipped one by default.")]


def show_progress(line: str) -> None:
    """Print a line of progress to standard error."""
    typer.echo(line, err=True)


def refuse_without(needed: str, is_there: object, **options: object) -> None:
    """Refuse options that mean nothing without another one.

    Parameters
    ----------
    needed
        The other option, for the message.
    is_there
        Whether it was given.
    options
        The options by name, None or empty where they were not given.

    Raises
    ------
    UsageError
        If one was given without ``needed``.
    """
    given = [f"--{name}" for name, value in options.items() if value]
    if given and not is_there:
        raise UsageError(f"{given[0]} needs {needed}: add it, or leave {given[0]} out")
