"""GTZAN's thousand clips: genre, artist, title, and part of the fault-filtered split.

``gtzan_table.csv`` is written by ``scripts/make_gtzan_table.py`` from the lists of Sturm (2012) and of Kereliuk,
Sturm and Larsen (2015).
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
import re
import types
import unicodedata
from collections.abc import Mapping

__all__ = ["GtzanClip", "clip_name", "gtzan_table", "plain_text"]


@dataclasses.dataclass(frozen=True, slots=True)
class GtzanClip:
    """A clip.

    Attributes
    ----------
    clip
        Name without extension, such as ``"blues.00000"``.
    genre
        One of ten.
    artist, title
        Where known, else ``""``.
    filtered_split
        ``"train"``, ``"valid"``, ``"test"`` of the fault-filtered artist split, or ``""`` for a clip in none.
    """

    clip: str
    genre: str
    artist: str
    title: str
    filtered_split: str

    @property
    def group(self) -> str:
        """The artist in plain letters, for splits that keep artists together; the clip's name if unknown."""
        return plain_text(self.artist) or self.clip


@functools.cache
def gtzan_table() -> Mapping[str, GtzanClip]:
    """Return the table by clip name, read-only."""
    text = (importlib.resources.files(__package__) / "track_table.csv").read_text("utf-8")
    return types.MappingProxyType({row["clip"]: GtzanClip(**row) for row in csv.DictReader(text.splitlines())})


def clip_name(track_name: str) -> str:
    """Return the clip's name in a track's: ``"blues.00000"`` of ``"genres/blues/blues.00000.wav"``, else ``""``."""
    match = re.fullmatch(r"(?:.*/)?([a-z]+\.\d{5})(?:\.\w+)?", track_name)
    return match[1] if match else ""


def plain_text(text: str) -> str:
    """Return a name in lower case without accents, punctuation, "the" and "and", so that spellings agree."""
    letters = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", letters.replace("'", ""))
    return " ".join(word for word in words if word not in ("the", "and"))
