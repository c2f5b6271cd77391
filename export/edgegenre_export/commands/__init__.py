"""The commands ``export``, ``inspect``, ``codegen``, ``sign`` and ``web``; each imports its stage when it runs."""

from __future__ import annotations

import typer

from . import codegen, export, inspect, sign, web

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the root app (entry-point group ``edgegenre.commands``)."""
    app.command("export")(export.export)
    app.command("inspect")(inspect.inspect)
    app.add_typer(codegen.app, name="codegen")
    app.add_typer(sign.app, name="sign")
    app.command("web")(web.web)
