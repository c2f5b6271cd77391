"""The commands that measure a network, or show what it hears."""

from __future__ import annotations

import typer

from . import baseline, calibrate, evaluate, explain

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the root app."""
    app.command("evaluate")(evaluate.evaluate)
    app.command("calibrate")(calibrate.calibrate)
    app.command("explain")(explain.explain)
    app.command("features")(explain.features)
    app.command("baseline")(baseline.baseline)
