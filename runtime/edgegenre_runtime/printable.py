"""Text that is safe on a terminal and in JSON, and in line there: what a file name or a label may hold."""

from __future__ import annotations

import unicodedata

__all__ = ["aligned", "n_columns", "printable"]

_HARMLESS = "\u00a0\u200c\u200d\u3000"  # spaces in names, and the joiners that several scripts and emoji need


def printable(text: str) -> str:
    r"""Return ``text`` on one line and encodable as UTF-8.

    A byte of a file name that is not UTF-8 becomes ``\xe9``, a control or formatting character ``\x1b``, ``\n`` or
    ``\u202e``; everything else, in any script, stays as it is.
    """
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def n_columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a character of Chinese, none for an accent."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def aligned(text: str, width: int, *, right: bool = False) -> str:
    """Return a text with spaces behind it, or before it, to ``width`` columns of a terminal."""
    spaces = " " * (width - n_columns(text))
    return spaces + text if right else text + spaces


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
