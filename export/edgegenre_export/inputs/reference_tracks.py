"""The tracks that artifacts are compared on: a part of a feature cache, or rendered toy music where there is none."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.evaluate.scoring import track_windows, window_starts
from edgegenre.toy.styles import STYLES
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables, log_mel, normalize

from .toy_music import style_of, toy_pieces

__all__ = ["ReferenceTracks", "cache_tracks", "toy_pcm", "toy_tracks", "training_tracks"]

_TRAINING_WINDOWS = 6
_TOY_TRACKS = 40
_TOY_SEED = 900_000  # no calibration window is drawn with such a seed


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ReferenceTracks:
    """Tracks with their windows.

    Attributes
    ----------
    names
        Name of each track.
    windows
        Windows of each track, int8 [n, n_mels, frames_per_window].
    truth
        What is right for each track (:mod:`edgegenre.evaluate.metrics.truth`); None where the labels mean nothing to
        the network.
    source
        What it is, for people.
    spec_hash
        The front-end the windows come from.

    Raises
    ------
    DataError
        If there is no track, or the number of names, windows and classes differ.
    """

    names: tuple[str, ...]
    windows: tuple[npt.NDArray[np.int8], ...]
    truth: npt.NDArray[Any] | None
    source: str
    spec_hash: str

    def __post_init__(self) -> None:
        n = len(self.names)
        if not n:
            raise DataError(f"{self.source} has no tracks to compare on: split the data set, or name another part")
        if len(self.windows) != n or (self.truth is not None and len(self.truth) != n):
            raise DataError(f"{self.source}: {n} names for {len(self.windows)} tracks")

    @property
    def cells(self) -> npt.NDArray[np.int8]:
        """All windows, track after track, int8 [N, n_mels, frames_per_window]."""
        return np.concatenate(self.windows)

    def per_track(self, per_window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the mean over each track's windows, float32 [n_tracks, C], of float32 [N, C]."""
        counts = np.array([len(cells) for cells in self.windows])
        sums = np.add.reduceat(per_window.astype(np.float64), np.cumsum(counts) - counts, axis=0)
        return np.asarray(sums / counts[:, None], dtype=np.float32)

    def digest(self) -> str:
        """Return a hash of the windows, for the record."""
        return hashlib.sha256(np.ascontiguousarray(self.cells).data).hexdigest()[:16]


def cache_tracks(
    cache: FeatureCache, tables: Tables, part: str, source: str, *, was_seen: bool = False
) -> ReferenceTracks:
    """Take the tracks of a part (``"valid"`` or ``"test"``) of a cache; raises :class:`DataError` if it is empty.

    Tracks that the network was trained on (``was_seen``) are compared without their classes: a share of right answers
    would pass for an accuracy.
    """
    tracks = cache.tracks_of(part)
    return ReferenceTracks(
        names=tuple(cache.names[track] for track in tracks),
        windows=tuple(track_windows(cache, int(track), tables) for track in tracks),
        truth=None if was_seen else cache.truth(tracks),
        source=f"the {part} part of {source}{', which the network was trained on' if was_seen else ''}",
        spec_hash=tables.spec_hash,
    )


def training_tracks(cache: FeatureCache, tables: Tables, source: str) -> ReferenceTracks | None:
    """Take at most six windows, evenly spaced, of every training track of a cache; None if it has none."""
    if not len(cache.tracks_of("train")):
        return None
    tracks = cache_tracks(cache, tables, "train", source)
    thinned = tuple(cells[:: -(-len(cells) // _TRAINING_WINDOWS)] for cells in tracks.windows)
    return dataclasses.replace(tracks, windows=thinned)


def toy_tracks(tables: Tables, processes: int = 1) -> ReferenceTracks:
    """Render forty toy tracks of two half-overlapping windows each; ``processes`` share the work."""
    spec, windows = tables.spec, []
    for pcm in toy_pieces(_TOY_TRACKS, _TOY_SEED, 1.5 * spec.window_s + 0.1, spec.sample_rate_hz, processes):
        frames = log_mel(pcm, tables).frames_q9
        starts = window_starts(frames.shape[1], spec.frames_per_window)
        cuts = [frames[:, start : start + spec.frames_per_window] for start in starts]
        windows.append(np.stack([normalize(cut, tables).cells for cut in cuts]))
    return ReferenceTracks(_toy_names(), tuple(windows), None, "rendered toy music", tables.spec_hash)


def toy_pcm(tables: Tables) -> tuple[npt.NDArray[np.int16], ReferenceTracks]:
    """Render forty pieces of one window; returns int16 [40, window_samples] and the front-end's window of each."""
    spec = tables.spec
    pieces = toy_pieces(_TOY_TRACKS, _TOY_SEED, spec.window_s + 0.1, spec.sample_rate_hz)
    pcm = np.ascontiguousarray(pieces[:, : spec.window_samples])
    windows = tuple(normalize(log_mel(piece, tables).frames_q9, tables).cells[None] for piece in pcm)
    return pcm, ReferenceTracks(_toy_names(), windows, None, "rendered toy music", tables.spec_hash)


def _toy_names() -> tuple[str, ...]:
    return tuple(f"toy {style_of(k)} {k // len(STYLES)}" for k in range(_TOY_TRACKS))
