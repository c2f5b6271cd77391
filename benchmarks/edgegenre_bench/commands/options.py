"""Options and output that the bench commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["BundleOption", "show_progress"]

BundleOption = Annotated[Path | None, typer.Option(help="Bundle folder or .zip; the shipped one by default.")]


def show_progress(line: str) -> None:
    """Print a line of progress to standard error."""
    typer.echo(line, err=True)
