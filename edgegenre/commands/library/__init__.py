"""``edgegenre library …``: a whole music library. Works with the base install."""

from __future__ import annotations

import typer

from edgegenre.typer_app import CommandApp

from . import playlists, report, scan, tags

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add ``library`` and its commands to the root app."""
    library = CommandApp(help="A whole music library: scan it into a database.")
    library.command("errors")(scan.errors)
    library.command("scan")(scan.scan)
    library.command("tag")(tags.tag)
    library.command("undo")(tags.undo)
    library.command("playlist")(playlists.playlist)
    library.command("similar")(playlists.similar)
    library.command("path")(playlists.path)
    library.command("report")(report.report)
    app.add_typer(library, name="library")
