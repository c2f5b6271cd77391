"""Options and output that the bench commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.network.bundle_names import find_bundle

__all__ = ["BundleOption", "refuse_without", "show_progress"]


def _found(given: Path | None) -> Path | None:
    """Return where a bundle is that is given by path or by name."""
    return None if given is None else find_bundle(given)


BundleOption = Annotated[
    Path | None, typer.Option(callback=_found, help="Bundle: folder, .zip or name; the shipped one by default.")
]


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
