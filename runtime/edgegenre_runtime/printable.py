"""Text that is safe on a terminal and in JSON: what a file name or a label may hold, escaped."""

from __future__ import annotations

__all__ = ["printable"]

_HARMLESS = "\u00a0\u200c\u200d\u3000"  # spaces in names, and the joiners that several scripts and emoji need


def printable(text: str) -> str:
    r"""Return ``text`` on one line and encodable as UTF-8.

    A byte of a file name that is not UTF-8 becomes ``\xe9``, a control or formatting character ``\x1b``, ``\n`` or
    ``\u202e``; everything else, in any script, stays as it is.
    """
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
