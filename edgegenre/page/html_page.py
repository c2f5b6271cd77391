"""A page as one HTML file that needs nothing else: ``page.html.jinja`` with ``page.css`` and the pictures inside."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from .blocks import Block, Image

if TYPE_CHECKING:
    import jinja2
    import markupsafe

__all__ = ["to_html"]


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Return one HTML document.

    Parameters
    ----------
    title
        What stands in the title bar; literal text.
    blocks
        The page. Text in it is escaped; its marks become tags.

    Raises
    ------
    ModuleNotFoundError
        Without jinja2, which the extras ``train``, ``export``, ``bench`` and ``library-report`` bring.
    """
    tagged = [(type(block).__name__, block) for block in blocks]
    style = files(__package__).joinpath("page.css").read_text()
    return _template().render(title=title, style=style, blocks=tagged) + "\n"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgegenre.page", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"marks": _marks, "data_uri": _data_uri}
    return environment.get_template("page.html.jinja")


_MARKS = re.compile(r"\\([\\`*])|`([^`]+)`|\*\*(.+?)\*\*")


def _marks(text: object) -> markupsafe.Markup:
    """Escape ``text`` and turn its marks into tags."""
    from markupsafe import Markup, escape

    parts, done, text = [], 0, str(text)
    for match in _MARKS.finditer(text):
        literal, code, bold = match.groups()
        parts.append(escape(text[done : match.start()]))
        if literal is not None:
            parts.append(escape(literal))
        else:
            parts.append(Markup("<code>{}</code>").format(code) if code else Markup("<strong>{}</strong>").format(bold))
        done = match.end()
    return Markup("").join([*parts, escape(text[done:])])


def _data_uri(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}"
