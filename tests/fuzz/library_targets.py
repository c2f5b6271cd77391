"""What a music library reads: tags of audio files, maps of genres, and the file of embeddings beside its database."""

from __future__ import annotations

import functools
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from mutations import mutate_bytes, mutate_text
from target import Target

from edgegenre.toy.dataset import render
from edgegenre_runtime.audio.media import has_media
from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.library import Analysis, Library
from edgegenre_runtime.library.playlists import embedding_file
from edgegenre_runtime.library.playlists.embedding_file import nearest_tracks
from edgegenre_runtime.library.tags.genre_words import read_word_map
from edgegenre_runtime.library.tags.tag_formats import read_genre, write_genre

Rng = np.random.Generator
_KNOWN = ("blues", "hiphop", "rock/punk")
_TOML = 'blues = "Blues"\nhiphop = ["Hip-Hop", "Rap"]\n"rock/punk" = ""\n'
_CSV = '\ufeffblues,Blues\r\nhiphop,"Hip-Hop, old",Rap\r\nrock/punk,\r\n'
_ENDINGS = {"MP3": "mp3", "FLAC": "flac", "OGG": "ogg", "AIFF": "aiff", "WAV": "wav"}
_GENRE = ["Hip-Hop", "Räp"]
_ROWS, _DIMS = 120, 8


def targets() -> Iterator[Target]:
    """Yield every target of this module."""
    for name, ending in _ENDINGS.items():
        yield Target(f"tags, {name}", functools.partial(_tagged, name, ending), _read_and_write_tags)
    if has_media():
        yield Target("tags, M4A", functools.partial(_tagged, "M4A", "m4a"), _read_and_write_tags)
    for ending, text in (("toml", _TOML), ("csv", _CSV)):
        yield Target(f"map of genres, {ending}", functools.partial(_map, ending, text), _read_map)
    yield Target("file of embeddings", _embeddings, _search)


@functools.cache
def _with_tags(name: str, ending: str) -> bytes:
    """Return short music with a genre, as the library writes it."""
    pcm = render("jazz", seed=1, seconds=0.6)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        if name == "M4A":
            path.write_bytes(_m4a(pcm))
        else:
            soundfile.write(path, pcm, 22050, format=name)
        write_genre(str(path), str(path), _GENRE)
        return path.read_bytes()


def _m4a(pcm: np.ndarray) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=22050, layout="mono")
        for start in range(0, len(pcm) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(
                (pcm[None, start : start + 1024] / 32768).astype(np.float32), "fltp", "mono"
            )
            frame.sample_rate, frame.pts = 22050, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _tagged(name: str, ending: str, folder: Path, rng: Rng) -> None:
    (folder / f"a.{ending}").write_bytes(mutate_bytes(_with_tags(name, ending), rng))


def _read_and_write_tags(folder: Path) -> None:
    """A tag that is written is there afterwards; whatever is said is one line."""
    (path,) = folder.glob("a.*")
    copy = path.with_name(f"copy{path.suffix}")
    shutil.copy(path, copy)
    try:
        read_genre(str(path))
        write_genre(str(copy), str(path), ["Jazz"])
    except EdgeGenreError as error:
        if "\n" in str(error):
            raise ValueError(f"more than a line: {error!r}") from error
        raise
    if read_genre(str(copy)) != ("Jazz",):
        raise ValueError("the tag is not there")


def _map(ending: str, text: str, folder: Path, rng: Rng) -> None:
    (folder / f"m.{ending}").write_bytes(mutate_text(text, rng))


def _read_map(folder: Path) -> None:
    (path,) = folder.glob("m.*")
    for name, words in read_word_map(path, _KNOWN).items():
        if name not in _KNOWN or not all(word.strip() == word and word.isprintable() for word in words):
            raise ValueError(f"{name!r}: {words!r}")


@functools.cache
def _searched() -> tuple[bytes, bytes]:
    """Return a library's database, and the file of its embeddings."""
    embedding_file.WORTHWHILE_ROWS = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "l.sqlite"
        with Library.open(path, create=True) as library:
            about = {"name": "b", "labels": ["blues", "rock"], "embedding_dims": _DIMS}
            bundle = library.add_bundle("0" * 64, about)
            for i, vector in enumerate(np.random.default_rng(0).normal(size=(_ROWS, _DIMS)).astype(np.float16)):
                found = Analysis(1, i, bytes(32), label="rock", genres=("rock",), embedding=vector, n_windows=1)
                library.put(b"/%d.mp3" % i, found, bundle, 0)
            library.commit()
            _nearest(library)
        return path.read_bytes(), path.with_name("l.sqlite.embeddings").read_bytes()


def _nearest(library: Library) -> np.ndarray:
    (ids,) = nearest_tracks(library, library.bundle(), np.eye(_DIMS, 1, dtype=np.float32), 5)
    return ids


def _embeddings(folder: Path, rng: Rng) -> None:
    database, embeddings = _searched()
    (folder / "l.sqlite").write_bytes(database)
    (folder / "l.sqlite.embeddings").write_bytes(mutate_bytes(embeddings, rng))


def _search(folder: Path) -> None:
    """Every id that is found is a track's; a file that is not of its length is written anew."""
    with Library.open(folder / "l.sqlite") as library:
        ids = _nearest(library)
    if len(set(ids.tolist())) != 5 or not set(ids.tolist()) <= set(range(1, _ROWS + 1)):
        raise ValueError(f"found {ids}")
