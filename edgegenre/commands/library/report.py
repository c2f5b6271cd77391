"""``edgegenre library report``: a page on a music library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..common import DatabaseOption, check_output, check_suffix, command_line, needs, progress_bar, require_installed

__all__ = ["report"]


def report(
    db: DatabaseOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Page (.html) to write.")],
    similarity: Annotated[
        float, typer.Option(help="Least cosine of two embeddings that may be of the same recording.", min=0, max=1)
    ] = 0.995,
) -> None:
    """Write one HTML file on the library: genres, confidence, a map, doubtful tracks, duplicates, unreadable files.

    Example: `edgegenre library report --db library.sqlite --out library.html`
    """
    from edgegenre_runtime.library.store import Library

    check_suffix(out, ".html")
    check_output(out)
    require_installed("library-report", "jinja2", "sklearn")
    with Library.open(db) as library, needs("library-report"):
        library.bundle()  # an empty one is refused before anything large is imported
        from edgegenre.library.report import library_page
        from edgegenre_runtime.atomic_write import write_together

        with progress_bar("comparing") as show:
            page = library_page(library, command_line(), similarity, show)
        content = page.encode()
        write_together({out: content})
    typer.echo(f"{out}: {len(content) / 1e3:.0f} kB")
