"""Sections of a Markdown page that a command writes, each between two marks, and stale when they say something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError

__all__ = ["is_stale", "write_sections"]


def write_sections(page: Path, texts: Mapping[str, str]) -> None:
    """Write those of the named texts that a page has marks for; raises :class:`DataError` if it has none."""
    with_texts = _with_texts(page, _read(page), texts)
    with written_beside(page) as handle:
        handle.write(with_texts.encode())


def is_stale(page: Path, texts: Mapping[str, str]) -> bool:
    """Return whether a page says something else between its marks; raises :class:`DataError` if it has none."""
    now = _read(page)
    return _with_texts(page, now, texts) != now


def _read(page: Path) -> str:
    try:
        return page.read_text("utf-8")
    except OSError as error:
        raise DataError(f"{page}: cannot be read ({error.strerror})") from error


def _with_texts(page: Path, now: str, texts: Mapping[str, str]) -> str:
    found = 0
    for name, text in texts.items():
        begin, end = (f"<!-- {name}: {side} -->" for side in ("begin", "end"))
        if begin not in now and end not in now:
            continue
        if now.count(begin) != 1 or now.count(end) != 1 or now.index(begin) > now.index(end):
            raise DataError(f"{page}: needs one line {begin} and below it one line {end}")
        before, _, rest = now.partition(begin)
        now = f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
        found += 1
    if not found:
        names = " or ".join(f"<!-- {name}: begin -->" for name in texts)
        raise DataError(f"{page}: needs one line {names} and below it its end")
    return now
