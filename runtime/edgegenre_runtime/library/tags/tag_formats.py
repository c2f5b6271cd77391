"""The genre tag of audio files, by mutagen (extra ``library``): ID3, Vorbis comments and MP4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.extras import import_extra

__all__ = ["GenreTag", "is_same_genre", "read_genre", "require_tags", "write_genre"]

GenreTag = tuple[str, ...]
"""The values of a genre tag as the file holds them, e.g. ``("(17)",)``; none where there is no tag."""

_ID3, _VORBIS, _MP4 = ("MP3", "AIFF", "WAVE"), ("FLAC", "OggVorbis", "OggOpus", "OggFLAC"), ("MP4",)
_MP4_GENRE = "\xa9gen"
_UTF16, _UTF8 = 1, 3
_OLD_ID3 = (2, 3, 0)
_SAME_LENGTH_S = 1e-6


def require_tags() -> Any:
    """Return mutagen; raises :class:`MissingExtraError` if it is not installed."""
    return import_extra("mutagen", "library")


def read_genre(path: str) -> GenreTag:
    """Return the genre tag of a file; raises :class:`DataError` if its tags cannot be read or are of another kind."""
    file = _open(path, path)
    try:
        return _genre_of(file)
    except Exception as error:  # of a damaged frame
        raise DataError(f"{path}: its tags cannot be read ({_reason(error)})") from error


def is_same_genre(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether two genre tags say the same; ID3v2.3 joins several values by a slash."""
    one, other = ([part for value in genre for part in value.replace("\0", "/").split("/")] for genre in (one, other))
    return one == other


def write_genre(path: str, kind_of: str, genre: Sequence[str]) -> None:
    """Put a genre tag into a file, and nothing else; no values take it away.

    Parameters
    ----------
    path
        The file to write: a copy of ``kind_of``.
    kind_of
        The file whose name and content say which kind of tags it has.
    genre
        The values.

    Raises
    ------
    DataError
        If the tags cannot be read or written, or are not what they should be afterwards.
    """
    file = _open(path, kind_of)
    length_s = file.info.length
    try:
        _set(file, list(genre))
        written = type(file)(path, **_options(type(file).__name__))
    except Exception as error:  # mutagen raises a dozen kinds for damaged files
        raise DataError(f"{kind_of}: its tags cannot be written ({_reason(error)})") from error
    if abs(written.info.length - length_s) > _SAME_LENGTH_S or not is_same_genre(_genre_of(written), genre):
        raise DataError(f"{kind_of}: its tags would not be as they should, so the file is left as it was")


def _open(path: str, kind_of: str) -> Any:
    """Return mutagen's file of ``path``, taken as what ``kind_of`` is."""
    mutagen = require_tags()
    try:
        found = mutagen.File(kind_of)
        name = type(found).__name__
        if name not in (*_ID3, *_VORBIS, *_MP4):
            known = "MP3, AIFF, WAV, FLAC, Ogg Vorbis, Opus and M4A"
            raise DataError(f"{kind_of}: tags are written into {known}, not into this kind of file")
        return type(found)(path, **_options(name))
    except DataError:
        raise
    except Exception as error:  # mutagen raises a dozen kinds for damaged files
        raise DataError(f"{kind_of}: its tags cannot be read ({_reason(error)})") from error


def _options(name: str) -> dict[str, bool]:
    return {"translate": False} if name in _ID3 else {}  # frames of ID3v2.3 stay what they are


def _genre_of(file: Any) -> GenreTag:
    name, tags = type(file).__name__, file.tags
    if tags is None:
        return ()
    if name in _ID3:
        return tuple(str(text) for frame in tags.getall("TCON") for text in frame.text)
    if name in _VORBIS:
        return tuple(tags.get("genre", ()))
    return tuple(tags.get(_MP4_GENRE, ()))


def _set(file: Any, genre: list[str]) -> None:
    name = type(file).__name__
    if file.tags is None:
        file.add_tags()
    if name in _ID3:
        _set_id3(file, genre)
        return
    key = _MP4_GENRE if name in _MP4 else "genre"
    if genre:
        file.tags[key] = genre
    elif key in file.tags:
        del file.tags[key]
    file.save()


def _set_id3(file: Any, genre: list[str]) -> None:
    id3 = import_extra("mutagen.id3", "library")
    tags, is_old = file.tags, file.tags.version == _OLD_ID3
    tags.delall("TCON")
    if genre:
        tags.add(id3.TCON(encoding=_UTF16 if is_old else _UTF8, text=genre))
    if is_old:
        file.save(v2_version=3)
        return
    if tags.version < _OLD_ID3:  # ID3v2.2, which mutagen does not write
        tags.update_to_v24()
    file.save(v2_version=4)


def _reason(error: Exception) -> str:
    if error.args and isinstance(error.args[0], OSError):  # wrapped by mutagen; its own words would hold the path
        error = error.args[0]
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split()).lower()
