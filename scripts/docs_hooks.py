"""Hooks of MkDocs: links out of docs/ lead to the repository, and the shipped bundle's card is a page.

A link such as ``../examples/pi/README.md`` works where the pages are read as files. On the site it leads to that file
in the repository; one to a file that is not there is a warning, and so an error.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LOG = logging.getLogger("mkdocs.hooks.links")
_ROOT = Path(__file__).resolve().parents[1]
_CARD = _ROOT / "runtime" / "edgegenre_runtime" / "default" / "card.md"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the card of the shipped bundle as ``card.md``."""
    files.append(File.generated(config, "card.md", content=_CARD.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Point links that leave docs/ at the repository."""

    def outside(match: re.Match[str]) -> str:
        path, _, fragment = match[1].partition("#")
        if not (_ROOT / path).exists():
            _LOG.warning("%s: a link leads to %s, which is not in the repository", page.file.src_uri, path)
        return f"]({config.repo_url}/blob/main/{path}{'#' + fragment if fragment else ''})"

    return re.sub(r"\]\(\.\./([^)\s]+)\)", outside, markdown)
