"""Pages: what others wrote cannot break them, and they load nothing."""

from __future__ import annotations

import html.parser

import pytest

from edgegenre.page import Code, Image, ImageRow, Items, Table, Text, Title, escape_marks, to_html, to_markdown


class Balanced(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_text_of_others_cannot_break_the_page() -> None:
    blocks = [
        Title(1, "<b>"), Text("a `x<y` **bold**"), Items(["&"]), Table(["a|b"], [["<script>"]]), Code("c", "a < b"),
        ImageRow([Image('"><script>', b"\x89PNG")]),
    ]  # fmt: skip
    page = to_html("</title><script>", blocks)
    assert "<script" not in page
    assert "<code>x&lt;y</code> <strong>bold</strong>" in page
    assert "<pre><code>a &lt; b</code></pre>" in page
    assert "| a\\|b |" in to_markdown(blocks)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


@pytest.mark.parametrize("name", ["a`b`c", "**x**", "a\\b", "\\`<i>`", "*", "a\\"])
def test_an_escaped_name_is_shown_as_it_is(name: str) -> None:
    page = to_html("t", [Table(["name"], [[escape_marks(name)]])])
    assert f"<td>{html.escape(name)}</td>" in page


def test_a_picture_travels_inside_the_page() -> None:
    page = to_html("t", [Image("dots", b"<svg/>", "image/svg+xml")])
    assert '<img alt="dots" src="data:image/svg+xml;base64,PHN2Zy8+">' in page


def test_numbers_stand_to_the_right_only_where_asked() -> None:
    assert '<table class="numeric">' in to_html("t", [Table(["a", "b"], [["x", 1]], numeric=True)])
    assert "<table>" in to_html("t", [Table(["a", "b"], [["x", 1]])])
