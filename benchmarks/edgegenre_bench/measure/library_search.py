"""What a search in a large library costs: reading the embeddings, and comparing one with all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.library import Library
from edgegenre_runtime.library.nearest import nearest_rows
from edgegenre_runtime.library.records import Analysis

__all__ = ["Search", "format_searches", "measure_search"]

_DIMS, _NAMES = 512, 10
_BLOCK = 10_000
_REPEATS = 5
_NEAREST = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """A search in a library of random embeddings, the fastest of several; processor time is that of all threads.

    Attributes
    ----------
    n_tracks
        Rows of the library.
    database_bytes
        Size of its database.
    load_s, load_cpu_s
        Reading ids, probabilities and embeddings from the database.
    search_s, search_cpu_s
        Finding the 30 nearest.
    plain_s
        The same by ``astype`` and a product of a matrix and a vector, in blocks.
    """

    n_tracks: int
    database_bytes: int
    load_s: float
    load_cpu_s: float
    search_s: float
    search_cpu_s: float
    plain_s: float


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
    plain_s, _ = _fastest(lambda: _plain(embeddings, point), _REPEATS)
    return Search(n_tracks, path.stat().st_size, load_s, load_cpu_s, search_s, search_cpu_s, plain_s)


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


def _plain(embeddings: npt.NDArray[np.float16], point: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    cosines = np.empty(len(embeddings), np.float32)
    for i in range(0, len(embeddings), 1 << 14):
        block = embeddings[i : i + (1 << 14)].astype(np.float32)
        cosines[i : i + len(block)] = (block @ point)[:, 0] / np.sqrt(np.einsum("ij,ij->i", block, block))
    return np.argpartition(-cosines, _NEAREST)[:_NEAREST]


def format_searches(searches: list[Search]) -> str:
    """Return the searches as a table in Markdown."""
    head = ["tracks", "database, MB", "load, s (processor)", "search, s (processor)", "astype and product, s"]
    return markdown_table(
        head,
        [
            [
                found.n_tracks,
                f"{found.database_bytes / 1e6:.0f}",
                f"{found.load_s:.2f} ({found.load_cpu_s:.2f})",
                f"{found.search_s:.2f} ({found.search_cpu_s:.2f})",
                f"{found.plain_s:.2f}",
            ]
            for found in searches
        ],
    )
