"""What a search in a large library costs: comparing one embedding with all, and the command that does it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.library import Library
from edgegenre_runtime.library.playlists.nearest import nearest_rows
from edgegenre_runtime.library.playlists.selection import similar
from edgegenre_runtime.library.records import Analysis, Fingerprint
from edgegenre_runtime.library.store import path_bytes

__all__ = ["Search", "format_searches", "measure_search"]

_DIMS, _NAMES = 512, 10
_BLOCK = 10_000
_MAIN = "import sys; from edgegenre.cli import main; sys.exit(main(sys.argv[1:]))"
_REPEATS = 5
_NEAREST = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """A search in a library of random embeddings, the fastest of several; processor time is that of all threads.

    Attributes
    ----------
    n_tracks
        Rows of the library.
    database_bytes, file_bytes
        Size of its database, and of the file of embeddings beside it, 0 where it has none.
    load_s, load_cpu_s
        Reading ids, probabilities and embeddings from the database.
    search_s, search_cpu_s
        Finding the 30 nearest among what was read.
    first_s
        The first ``edgegenre library similar``, which writes the file.
    similar_s, similar_cpu_s
        The same again, without the start of Python: opening the database, the search, reading what is found.
    command_s, command_cpu_s
        The command again, start of Python included.
    """

    n_tracks: int
    database_bytes: int
    file_bytes: int
    load_s: float
    load_cpu_s: float
    search_s: float
    search_cpu_s: float
    first_s: float
    similar_s: float
    similar_cpu_s: float
    command_s: float
    command_cpu_s: float


def measure_search(
    folder: Path, n_tracks: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> Search:
    """Write a library of random embeddings of 512 values into ``folder``, and search in it."""
    path = folder / f"search{n_tracks}.sqlite"
    with Library.open(path, create=True) as library:
        _write(library, n_tracks, progress)
    with Library.open(path) as library:
        load_s, load_cpu_s = _fastest(lambda: library.arrays(library.bundle()), 2)
        embeddings = library.arrays(library.bundle()).embeddings
    point = np.random.default_rng(1).standard_normal((_DIMS, 1), np.float32)
    search_s, search_cpu_s = _fastest(lambda: nearest_rows(embeddings, point, _NEAREST), _REPEATS)
    song = folder / "song.wav"
    song.touch()
    with Library.open(path) as library:  # a file that is there takes the place of the first track
        (first,) = library.tracks(order="id LIMIT 1")
        library.adopt(path_bytes(song), Fingerprint(0, 0, bytes(32)), path_bytes(first.path), is_move=True)
        library.commit()
    (first_s, _), again = _command(song, path), [_command(song, path) for _ in range(_REPEATS)]

    def find() -> None:
        with Library.open(path) as library:
            similar(library, song, _NEAREST)

    file = path.with_name(f"{path.name}.embeddings")
    sizes = path.stat().st_size, file.stat().st_size if file.exists() else 0
    return Search(
        n_tracks, *sizes, load_s, load_cpu_s, search_s, search_cpu_s, first_s, *_fastest(find, _REPEATS), *min(again)
    )


def _command(song: Path, db: Path) -> tuple[float, float]:
    """Return seconds and processor seconds of ``edgegenre library similar``, as a process of its own."""
    run = [sys.executable, "-c", _MAIN, "library", "similar", song, "--db", db, "--out", db.with_suffix(".m3u8")]
    began, cpu_began = time.perf_counter(), os.times()
    subprocess.run([str(part) for part in run], check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own program
    seconds, cpu = time.perf_counter() - began, os.times()
    children_s = cpu.children_user + cpu.children_system - cpu_began.children_user - cpu_began.children_system
    return seconds, children_s


def _write(library: Library, n_tracks: int, progress: Callable[[int, int], None]) -> None:
    labels = [f"genre {i}" for i in range(_NAMES)]
    described = {"name": "random", "labels": labels, "embedding_dims": _DIMS, "task": "single"}
    bundle = library.add_bundle("0" * 64, described)
    rng = np.random.default_rng(0)
    for first in range(0, n_tracks, _BLOCK):
        n = min(_BLOCK, n_tracks - first)
        embeddings = rng.standard_normal((n, _DIMS), np.float32).astype(np.float16)
        probabilities = rng.dirichlet(np.ones(_NAMES), n).astype(np.float32)
        for i, (embedding, p) in enumerate(zip(embeddings, probabilities, strict=True), start=first):
            label = labels[int(p.argmax())]
            found = Analysis(
                size=5_000_000, mtime_ns=i, content_hash=i.to_bytes(32, "little"), duration_s=240.0, label=label,
                genres=(label,), confidence=float(p.max()), probabilities=p, embedding=embedding, n_windows=10,
            )  # fmt: skip
            library.put(b"/music/artist %d/album/a title %d.mp3" % (i // 100, i), found, bundle, 10)
        library.commit()
        progress(first + n, n_tracks)


def _fastest(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return seconds and processor seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        began, cpu_began = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - began, time.process_time() - cpu_began))
    return min(times)


def format_searches(searches: list[Search]) -> str:
    """Return the searches as a table in Markdown."""
    head = [
        "tracks", "database, MB", "file, MB", "load, s (processor)", "search, s (processor)", "first command, s",
        "similar, s (processor)", "command, s (processor)",
    ]  # fmt: skip
    return markdown_table(
        head,
        [
            [
                found.n_tracks,
                f"{found.database_bytes / 1e6:.0f}",
                f"{found.file_bytes / 1e6:.0f}",
                f"{found.load_s:.2f} ({found.load_cpu_s:.2f})",
                f"{found.search_s:.2f} ({found.search_cpu_s:.2f})",
                f"{found.first_s:.1f}",
                f"{found.similar_s:.2f} ({found.similar_cpu_s:.2f})",
                f"{found.command_s:.2f} ({found.command_cpu_s:.2f})",
            ]
            for found in searches
        ],
    )
