"""The commands of the workstation, a folder or file per command group; each imports its stage when it runs."""

from __future__ import annotations

import typer

from . import augment, data, evaluate, library, models, train, verify

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the root app (entry-point group ``edgegenre.commands``)."""
    data.register(app)
    library.register(app)
    train.register(app)
    app.command("augment")(augment.augment)
    evaluate.register(app)
    app.command("verify")(verify.verify)
    app.command("models")(models.models)
