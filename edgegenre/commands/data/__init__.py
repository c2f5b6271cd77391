"""``edgegenre data …``: toy music, splits, feature caches."""

from __future__ import annotations

import typer

from edgegenre.typer_app import CommandApp

from . import importers, prepare, protocol, toy

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add ``data`` and its commands to the root app."""
    data = CommandApp(help="Make, split and cache data sets.")
    data.command("protocol")(protocol.protocol)
    data.command("replicas")(protocol.replicas)
    data.command("toy")(toy.toy)
    data.command("piece")(toy.piece)
    data.command("split")(prepare.split)
    data.command("prepare")(prepare.prepare)
    data.command("import-logmel")(importers.import_logmel)
    data.command("import-songs")(importers.import_songs)
    data.command("unlabeled")(importers.unlabeled)
    data.command("sounds")(importers.sounds)
    data.command("thin")(prepare.thin)
    data.command("fma")(importers.fma)
    app.add_typer(data, name="data")
