"""Import of the ready set of songs from outside GTZAN: the front-end's own frames at ``seed3s``, as levels.

The set's own README tells its format: 30 s from the middle of each song, levels below its loudest cell in uint8, and
that cell's level. ``wide9s`` takes every third frame. A song is for validation or for test, never for training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import read_npz
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.frontend.decibels import Q9_PER_DB

from ..dataset import SPLIT_NAMES
from ..feature_cache import FeatureCache, save_cache

__all__ = ["import_songs"]

_KEYS = ("X", "n_frames", "level_db", "y", "genres", "name", "artist", "part")
_HOP_SAMPLES = 512
_TOP_DB = 80


def import_songs(folder: Path | str, tables: Tables, out: Path | str) -> int:
    """Convert ``folder/logmel_1291.npz`` into a feature cache and return how many songs are in it.

    Parameters
    ----------
    folder
        The set's folder.
    tables
        The front-end: a hop that is a multiple of 512, all else as the set's (22050 Hz, n_fft 2048, 128 mels).
    out
        The cache to write.

    Raises
    ------
    DataError
        Another front-end, a missing or damaged file, or a cache that cannot be written.
    """
    spec = tables.spec
    bands = (spec.sample_rate_hz, spec.n_fft, spec.n_mels, spec.fmin_hz, spec.fmax_hz)
    if bands != (22050, 2048, 128, 0, 11025) or spec.hop_samples % _HOP_SAMPLES:
        raise DataError(
            f"front-end {spec.name} has other bands than the ready log-mels (22050 Hz, n_fft 2048, 128 mels), or a hop "
            f"that is no multiple of {_HOP_SAMPLES}"
        )
    arrays = _load(Path(folder) / "logmel_1291.npz")
    step = spec.hop_samples // _HOP_SAMPLES
    tracks = []
    for levels, n_frames, peak_db in zip(arrays["X"], arrays["n_frames"], arrays["level_db"], strict=True):
        db = levels[:, : int(n_frames) : step].astype(np.float64) * (_TOP_DB / 255) - _TOP_DB + float(peak_db)
        tracks.append(np.clip(np.rint(db * Q9_PER_DB), -32768, 32767).astype(np.int16))
    cache = FeatureCache(
        frames=np.concatenate(tracks, axis=1),
        offsets=np.cumsum([0, *(track.shape[1] for track in tracks)], dtype=np.int64),
        y=arrays["y"].astype(np.int64),
        labels=tuple(str(genre) for genre in arrays["genres"]),
        names=tuple(str(name) for name in arrays["name"]),
        groups=tuple(str(artist) for artist in arrays["artist"]),
        split=np.array([SPLIT_NAMES.index(str(part)) for part in arrays["part"]], np.uint8),
        spec=spec,
        spec_hash=tables.spec_hash,
    )
    save_cache(cache, out)
    return len(tracks)


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays and check that they fit together."""
    try:
        arrays = read_npz(path, _KEYS)
    except OSError as error:
        raise DataError(f"{path}: cannot read the ready songs ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{path}: not the ready set of songs, or damaged") from error
    X, n_frames, y = arrays["X"], arrays["n_frames"], arrays["y"]
    per_song = {arrays[key].shape for key in _KEYS if key not in ("X", "genres")}
    is_sound = (
        "".join(arrays[key].dtype.kind for key in ("n_frames", "level_db", "y", "genres", "name", "artist", "part"))
        == "ifiUUUU"
        and X.ndim == 3
        and X.dtype == np.uint8
        and X.shape[1] == 128
        and per_song == {(len(X),)}
        and len(X) > 0
        and bool(((n_frames > 0) & (n_frames <= X.shape[2])).all())
        and bool(((y >= 0) & (y < len(arrays["genres"]))).all())
        and {str(part) for part in arrays["part"]} <= {"valid", "test"}
    )
    if not is_sound:
        raise DataError(f"{path}: damaged set of songs, its arrays do not fit together")
    return arrays
