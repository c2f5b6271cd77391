"""The page on a library: what is in it, where its tracks lie, and which ones are worth a look."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edgegenre.page import Bars, Block, Code, Point, Scatter, Table, Text, Title, escape_marks, to_html
from edgegenre_runtime.library import Library, Track
from edgegenre_runtime.library.records import TrackArrays
from edgegenre_runtime.printable import printable

from .duplicates import near_duplicates
from .summary import N_BINS, Summary, summarize
from .track_map import map_tracks

__all__ = ["library_page"]

_SHOWN = 100  # rows of a table
_BARS = 40
_MAP_TRACKS = 5000  # about 150 bytes each
_MAP_GROUPS = 20  # more colors cannot be told apart
_NAME_CHARACTERS = 100  # of a name on the map
_WITHIN_S = 1.0  # encoders pad and players trim
_REST = "other answers"


def library_page(
    library: Library,
    command: str,
    least_similarity: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Return a library's report as one HTML document.

    Parameters
    ----------
    library
        The library.
    command
        The command line that asked for it.
    least_similarity
        The least cosine between the embeddings of two files that may be the same recording.
    progress
        Called with (done, total) while files are compared.

    Raises
    ------
    DataError
        The library is empty or damaged.
    """
    summary = summarize(library, _SHOWN)
    arrays = library.arrays(library.bundle())
    usable = np.flatnonzero(np.isfinite(arrays.embeddings).all(axis=1))
    title = f"Music library {printable(library.path.name)}"
    blocks: list[Block] = [
        Title(1, escape_marks(title)),
        Text(_overview(library, summary)),
        Code("sh", printable(command)),
    ]
    blocks += _counts(summary)
    blocks += _map(library, arrays, usable)
    blocks += _doubtful(summary)
    blocks += _copies(summary)
    blocks += _near_duplicates(library, arrays, usable, least_similarity, progress)
    blocks += _unreadable(summary)
    return to_html(title, blocks)


def _overview(library: Library, summary: Summary) -> str:
    names = ", ".join(escape_marks(printable(bundle.name)) for bundle in library.bundles())
    return (
        f"{summary.n_tracks} tracks, {summary.duration_s / 3600:.1f} hours, {summary.size / 1e9:.2f} GB; "
        f"{summary.n_failed} files could not be read, {summary.n_gone} are gone since. Classified by: {names}."
    )


def _counts(summary: Summary) -> list[Block]:
    genres = [(printable(name), count) for name, count in summary.genres.items()]
    rest = genres[_BARS:]
    if rest:
        genres = [*genres[:_BARS], (f"{len(rest)} more genres", sum(count for _, count in rest))]
    genres += [(printable(name), count) for name, count in summary.others.items()]
    bins = [f"{i / N_BINS:.1f} to {(i + 1) / N_BINS:.1f}" for i in range(N_BINS)]
    return [
        Title(2, "Genres"),
        Text("Tracks of each genre, and of the answers that are none. A track with several genres counts for each."),
        Bars("tracks of each genre", genres),
        Title(2, "Confidence"),
        Text("Tracks with a genre by the probability of their answer."),
        Bars("tracks by confidence", list(zip(bins, summary.confidences.tolist(), strict=True))),
    ]


def _map(library: Library, arrays: TrackArrays, usable: npt.NDArray[np.int64]) -> list[Block]:
    head = Title(2, "Map")
    if not len(usable):
        return [head, Text("No track has an embedding.")]
    shown = usable
    if len(usable) > _MAP_TRACKS:
        shown = np.sort(np.random.default_rng(0).choice(usable, _MAP_TRACKS, replace=False))
    positions, method = map_tracks(arrays.embeddings[shown])
    tracks = _tracks(library, arrays.ids[shown])
    kept = [label for label, _ in collections.Counter(track.analysis.label for track in tracks).most_common()]
    kept = kept if len(kept) <= _MAP_GROUPS else kept[: _MAP_GROUPS - 1]
    groups: dict[str, list[Point]] = {printable(str(label)): [] for label in kept}
    for track, (x, y) in zip(tracks, positions.tolist(), strict=True):
        label = track.analysis.label
        groups.setdefault(printable(str(label)) if label in kept else _REST, []).append(Point(x, y, _pointed_at(track)))
    sample = f", a random sample of {len(shown)} of {len(usable)} tracks" if len(shown) < len(usable) else ""
    text = f"Tracks by their embeddings ({method}{sample}): near is similar. Point at a track for its name."
    return [head, Text(text), Scatter(f"map of the library ({method})", list(groups.items()))]


def _pointed_at(track: Track) -> str:
    name, folder = printable(track.path.name), printable(track.path.parent.name)
    sure = "" if track.analysis.confidence is None else f" {track.analysis.confidence:.2f}"
    return f"{name[:_NAME_CHARACTERS]}\n{folder[:_NAME_CHARACTERS]}\n{printable(str(track.analysis.label))}{sure}"


def _doubtful(summary: Summary) -> list[Block]:
    rows = [[_path(track), _label(track), f"{track.analysis.confidence or 0:.2f}", _next(track)]
            for track in summary.doubtful]  # fmt: skip
    n_others = sum(summary.others.values())
    return [
        Title(2, "Doubtful tracks"),
        *_table(
            "The least probable answers", sum(summary.confidences), ["file", "answer", "probability", "or else"], rows
        ),
        *_table(
            "Answers that are no genre", n_others, ["file", "answer", "most probable"],
            [[_path(track), _label(track), _next(track, skipped=0)] for track in summary.without_genre],
        ),
    ]  # fmt: skip


def _next(track: Track, skipped: int | None = None) -> str:
    """Return the most probable class that the answer has not named, with its probability."""
    p = track.analysis.probabilities
    if p is None:
        return ""
    skipped = len(track.analysis.genres) if skipped is None else skipped
    order = np.argsort(-p, kind="stable")
    if skipped >= len(order):
        return ""
    return f"{escape_marks(printable(track.bundle.task.names[order[skipped]]))} {p[order[skipped]]:.2f}"


def _copies(summary: Summary) -> list[Block]:
    rows = [
        [number, f"{track.analysis.size / 1e6:.1f}", _path(track)]
        for number, group in enumerate(summary.copies, start=1)
        for track in group
    ]
    text = "Files that are byte for byte a copy of another one"
    return [Title(2, "Duplicates"), *_table(text, summary.n_copies, ["group", "MB", "file"], rows)]


def _near_duplicates(
    library: Library,
    arrays: TrackArrays,
    usable: npt.NDArray[np.int64],
    least: float,
    progress: Callable[[int, int], None],
) -> list[Block]:
    """Compare one file of each content with the others."""
    chosen = usable[np.unique(arrays.contents[usable], return_index=True)[1]]
    pairs = near_duplicates(arrays.embeddings[chosen], arrays.durations_s[chosen], least, _WITHIN_S, progress)
    rows = []
    for pair in pairs[:_SHOWN]:
        one, other = _tracks(library, arrays.ids[chosen[[pair.one, pair.other]]])
        rows.append([f"{pair.similarity:.4f}", f"{one.analysis.duration_s or 0:.0f} s", _path(one), _path(other)])
    text = (
        f"Files that may be the same recording: lengths within {_WITHIN_S:g} s, a cosine of {least:g} or more between "
        "the embeddings, each file with its nearest neighbor; pairs"
    )
    return _table(text, len(pairs), ["similarity", "length", "file", "other file"], rows)


def _unreadable(summary: Summary) -> list[Block]:
    rows = [[_path(track), escape_marks(printable(track.analysis.error or ""))] for track in summary.failed]
    return [Title(2, "Unreadable files"), *_table("Files that could not be read", summary.n_failed,
            ["file", "reason"], rows)]  # fmt: skip


def _table(text: str, total: int, head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Block]:
    if not rows:
        return [Text(f"{text}: none.")]
    shown = f", the first {len(rows)} rows here" if len(rows) >= _SHOWN and total > _SHOWN else ""
    return [Text(f"{text}: {total}{shown}."), Table(head, rows)]


def _tracks(library: Library, ids: npt.NDArray[np.int64]) -> list[Track]:
    return [track for row in ids.tolist() for track in library.tracks("id = ?", [row])]


def _path(track: Track) -> str:
    return escape_marks(printable(os.fspath(track.path)))


def _label(track: Track) -> str:
    return escape_marks(printable(str(track.analysis.label)))
