"""``edgegenre library playlist``, ``similar`` and ``path``: playlists from a library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre_runtime.printable import printable

from ..common import DatabaseOption, check_output, check_suffix

if TYPE_CHECKING:
    from edgegenre_runtime.library.records import Track

__all__ = ["path", "playlist", "similar"]

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Playlist (.m3u8) to write.")]


def playlist(
    db: DatabaseOption,
    genre: Annotated[str, typer.Option(help="A class of the bundle, such as jazz.")],
    out: Out,
    least: Annotated[float, typer.Option("--min", help="Probability that a track must reach.")] = 0.5,
    minutes: Annotated[float, typer.Option(help="Length of the playlist.")] = 60.0,
) -> None:
    """Write a playlist of a genre, the most probable tracks first.

    Example: `edgegenre library playlist --db library.sqlite --genre jazz --min 0.6 --minutes 90 --out jazz.m3u8`
    """
    from edgegenre_runtime.library.playlists.selection import of_genre
    from edgegenre_runtime.library.store import Library

    _check(out)
    with Library.open(db) as library:
        _write(of_genre(library, genre, least, minutes), out)


def similar(
    song: Annotated[Path, typer.Argument(help="A file of the library.")],
    db: DatabaseOption,
    out: Out,
    n: Annotated[int, typer.Option("-n", help="Tracks.")] = 30,
) -> None:
    """Write a playlist of the tracks that sound most like a song.

    Example: `edgegenre library similar song.flac --db library.sqlite -n 30 --out like.m3u8`
    """
    from edgegenre_runtime.library.playlists.selection import similar as find
    from edgegenre_runtime.library.store import Library

    _check(out)
    with Library.open(db) as library:
        _write(find(library, song, n), out)


def path(
    first: Annotated[Path, typer.Argument(help="The file that it begins with.")],
    last: Annotated[Path, typer.Argument(help="The file that it ends with.")],
    db: DatabaseOption,
    out: Out,
    n: Annotated[int, typer.Option("-n", help="Tracks, the two included: 3 to 200.")] = 12,
) -> None:
    """Write a playlist that goes from one song to another in small steps.

    Example: `edgegenre library path calm.flac loud.flac --db library.sqlite --out way.m3u8`
    """
    from edgegenre_runtime.library.playlists.selection import journey
    from edgegenre_runtime.library.store import Library

    _check(out)
    with Library.open(db) as library:
        _write(journey(library, first, last, n), out)


def _check(out: Path) -> None:
    check_suffix(out, ".m3u8")
    check_output(out)


def _write(tracks: list[Track], out: Path) -> None:
    from edgegenre_runtime.atomic_write import write_together
    from edgegenre_runtime.library.playlists.m3u8 import format_playlist

    text, left_out = format_playlist(tracks, out.absolute().parent)
    write_together({out: text.encode()})
    for file in left_out:
        typer.echo(printable(f"left out: {file}: a playlist cannot hold this name"), err=True)
    seconds = sum(track.analysis.duration_s or 0.0 for track in tracks)
    typer.echo(f"{out}: {len(tracks) - len(left_out)} tracks, {seconds / 60:.0f} minutes")
