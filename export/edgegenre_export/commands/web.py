"""``edgegenre web``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["web", "write_page"]


def web(
    bundle: Annotated[str, typer.Argument(help="Bundle: folder, .zip or name; `default` is the shipped one.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty folder to write into.")],
) -> None:
    """Make a web page that listens: a folder for any static host, and single.html, which opens by a double-click.

    Front-end and network run in the browser, offline; nothing leaves the page.

    Example: `edgegenre web default --out listen`
    """
    from edgegenre_runtime.network.bundle_names import find_bundle

    write_page(find_bundle(bundle), out)


def write_page(bundle: Path, out: Path) -> None:
    """Write the page of a bundle into a new or empty folder and say so."""
    from edgegenre_export.package.c_sources import check_new_folder, write_folder
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.web.page import web_folder

    check_new_folder(out)
    files = web_folder(read_bundle(bundle))
    write_folder(out, files)
    single = len(files["single.html"])
    folder = sum(map(len, files.values())) - single
    typer.echo(f"{out}: {len(files) - 1} files of {folder / 1000:.0f} kB, single.html of {single / 1000:.0f} kB")
