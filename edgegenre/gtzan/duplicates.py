"""Replicas: clips cut from one recording, found by artist and title and confirmed by correlating log-mels."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend.decibels import Q9_PER_DB
from edgegenre_runtime.frontend.spec import TOP_DB

from .track_table import clip_name, gtzan_table, plain_text

__all__ = ["REPLICA_CORRELATION", "Replica", "find_replicas", "search_replicas", "titled_pairs"]

REPLICA_CORRELATION = 0.65
"""At min_overlap this correlation makes two clips replicas.

On GTZAN at ``wide9s`` the pairs of one artist and title have 0.67 to 1.00, or 0.54 and less where they are other
performances or passages; the 49 310 pairs of one genre and different titles stay at 0.56 and below, except
two with misspelled titles.
"""

_BANDS = 32
_MIN_OVERLAP_S = 10.0
_TOP_Q9 = round(TOP_DB * Q9_PER_DB)


@dataclasses.dataclass(frozen=True, slots=True)
class Replica:
    """Two tracks, by name, and how their log-mels correlate at the best offset (−1 to 1) in seconds."""

    a: str
    b: str
    correlation: float
    offset_s: float

    @property
    def is_confirmed(self) -> bool:
        """Whether the correlation reaches :data:`REPLICA_CORRELATION`."""
        return self.correlation >= REPLICA_CORRELATION


def find_replicas(cache: FeatureCache) -> tuple[Replica, ...]:
    """Correlate the clips of a GTZAN cache that have the same artist and title, the most similar first.

    Raises
    ------
    DataError
        The cache holds no clip of GTZAN.
    """
    return _correlated(cache, titled_pairs(cache.names))


def search_replicas(cache: FeatureCache) -> tuple[Replica, ...]:
    """Correlate every two tracks of any cache; returns the confirmed replicas, the most similar first."""
    pairs = itertools.combinations(range(len(cache.names)), 2)
    return tuple(replica for replica in _correlated(cache, pairs) if replica.is_confirmed)


def titled_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return indices of every two clips with the same artist and title; raises :class:`DataError` off GTZAN."""
    table = gtzan_table()
    clips = [table.get(clip_name(name)) for name in names]
    if not any(clips):
        raise DataError(f"{names[0]}: not a clip of GTZAN; artists and titles are known for GTZAN's clips only")
    by_song: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for index, clip in enumerate(clips):
        if clip is not None and clip.title:
            by_song[plain_text(clip.artist), plain_text(clip.title)].append(index)
    return [pair for indices in by_song.values() for pair in itertools.combinations(indices, 2)]


def _correlated(
    cache: FeatureCache, pairs: Sequence[tuple[int, int]] | Iterator[tuple[int, int]]
) -> tuple[Replica, ...]:
    """Return the pairs with their correlations, the most similar first."""
    hop_s = cache.spec.hop_samples / cache.spec.sample_rate_hz
    min_overlap = round(_MIN_OVERLAP_S / hop_s)
    lengths = np.diff(cache.offsets)
    size = 1 << int(2 * lengths.max() - 1).bit_length()
    signals: dict[int, tuple[npt.NDArray[np.complex64], npt.NDArray[np.float64]]] = {}

    def signal(index: int) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float64]]:
        if index not in signals:
            x = _centered_bands(cache.track(index))
            energy = np.concatenate([[0.0], np.cumsum((x * x).sum(axis=0))])
            signals[index] = np.fft.rfft(x, size).astype(np.complex64), energy
        return signals[index]

    rows = []
    for a, b in pairs:
        (spectrum_a, energy_a), (spectrum_b, energy_b) = signal(a), signal(b)
        products = np.fft.irfft((spectrum_a * spectrum_b.conj()).sum(axis=0), size)
        correlation, offset = _best_offset(products, energy_a, energy_b, min_overlap)
        rows.append(Replica(cache.names[a], cache.names[b], correlation, offset * hop_s))
    return tuple(sorted(rows, key=lambda row: (-row.correlation, row.a, row.b)))


def _centered_bands(frames_q9: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Return [32, T] levels above the clip's floor (80 dB below its maximum), minus the means of band and of frame.

    Without the frame's mean, two pieces that become loud at the same time would correlate.
    """
    levels = np.maximum(frames_q9.astype(np.float64), int(frames_q9.max()) - _TOP_Q9)
    bands = levels.reshape(_BANDS, -1, levels.shape[1]).mean(axis=1)
    bands -= bands.mean(axis=0)
    centered: npt.NDArray[np.float64] = bands - bands.mean(axis=1, keepdims=True)
    return centered


def _best_offset(
    products: npt.NDArray[np.floating],
    energy_a: npt.NDArray[np.float64],
    energy_b: npt.NDArray[np.float64],
    min_overlap: int,
) -> tuple[float, int]:
    """Return the largest correlation over the offsets that leave enough overlap, and that offset in frames.

    Parameters
    ----------
    products
        Circular cross-correlation; at index ``d`` (negative from the end) the sum of ``a[t + d] b[t]``.
    energy_a, energy_b
        Cumulative energies, float64 [T + 1].
    min_overlap
        Frames of overlap needed; a shorter track needs its whole length.
    """
    T_a, T_b = len(energy_a) - 1, len(energy_b) - 1
    min_overlap = min(min_overlap, T_a, T_b)
    offsets = np.arange(min_overlap - T_b, T_a - min_overlap + 1)
    start, stop = np.maximum(offsets, 0), np.minimum(T_a, T_b + offsets)
    energy = (energy_a[stop] - energy_a[start]) * (energy_b[stop - offsets] - energy_b[start - offsets])
    correlations = products[offsets] / np.sqrt(np.maximum(energy, 1e-9))
    best = int(correlations.argmax())
    return float(np.clip(correlations[best], -1.0, 1.0)), int(offsets[best])
