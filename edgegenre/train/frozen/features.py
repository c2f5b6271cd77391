"""Features of tracks by a network that is not trained: what its head would see, the mean over a track's windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.data.windows import cut_windows
from edgegenre.evaluate.embeddings import embed
from edgegenre.evaluate.scoring import network_input
from edgegenre.models import Network
from edgegenre_runtime.frontend import Tables

__all__ = ["Equalizer", "frozen_features"]

_SMOOTHING_BANDS = 17

Frames = npt.NDArray[np.int16]


class Equalizer:
    """Brings the mean spectrum of a track part of the way to that of a set of tracks.

    What a record's mastering does to its spectrum says little about its genre, and differs between old and new music.

    Parameters
    ----------
    cache, tracks
        The set whose mean spectrum, in Q9 of log2 power, is the aim.
    share
        Part of the way, 0 to 1.
    """

    def __init__(self, cache: FeatureCache, tracks: npt.NDArray[np.int64], share: float) -> None:
        self.share = share
        self.target = np.mean([cache.track(int(track)).mean(axis=1) for track in tracks], axis=0)

    def __call__(self, frames_q9: Frames) -> Frames:
        """Return int16 [n_mels, T], every band moved by the same amount in all frames; a clip's level is kept."""
        margin = _SMOOTHING_BANDS // 2
        difference = self.target - frames_q9.mean(axis=1)
        padded = np.pad(difference - difference.mean(), margin, mode="edge")
        smooth = np.convolve(padded, np.full(_SMOOTHING_BANDS, 1 / _SMOOTHING_BANDS), mode="valid")
        moved = frames_q9 + self.share * smooth[:, None]
        equalized: Frames = np.clip(np.rint(moved), -32768, 32767).astype(np.int16)
        return equalized


def frozen_features(
    network: Network,
    cache: FeatureCache,
    tables: Tables,
    equalizer: Equalizer | None = None,
    progress: Callable[[int, int], None] | None = None,
    tracks: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.float32]:
    """Return what the network's head sees, the mean over a track's windows, float32 [n, D]; of all tracks or some."""
    rows = []
    asked = range(len(cache.names)) if tracks is None else tracks.tolist()
    for track in asked:
        frames = cache.track(track)
        halves = cut_windows(frames if equalizer is None else equalizer(frames), tables)
        cells = halves[::2]  # windows overlap by half: every other one has heard it all
        rows.append(embed(network, network_input(cells, tables.spec.top_db)).mean(dim=0).numpy())
        if progress is not None:
            progress(len(rows), len(asked))
    return np.stack(rows).astype(np.float32)
