"""Extended M3U playlists in UTF-8, with paths relative to the playlist's folder: what players on any machine read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..records import Track

__all__ = ["format_playlist"]


def format_playlist(tracks: Iterable[Track], folder: Path) -> tuple[str, list[Path]]:
    """Return the text of a playlist that will lie in ``folder``, and the files that it cannot name.

    A line cannot hold a line break, nor UTF-8 text a name that is not UTF-8.
    """
    lines, left_out = ["#EXTM3U"], []
    for track in tracks:
        path = os.path.relpath(track.path, folder)
        if not _can_be_written(path):
            left_out.append(track.path)
            continue
        seconds = round(track.analysis.duration_s or 0.0) or -1
        lines += [f"#EXTINF:{seconds},{track.path.stem}", f"./{path}" if path[0] in "# " else path]
    return "\n".join(lines) + "\n", left_out


def _can_be_written(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not set(path) & {"\n", "\r"}
