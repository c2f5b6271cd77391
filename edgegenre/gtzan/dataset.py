"""Import of the ready GTZAN log-mel set: dB columns of librosa's log-mels, resampled to the front-end's frames.

Its README describes the format. Its columns are single frames of ``librosa`` (hop 512, centered: frame ``f``
is centered on sample ``512 f``), taken about every 914 samples; frame ``j`` of the front-end is centered on sample
``hop * j + n_fft / 2``. Levels are relative to the clip's maximum, which is put where a 1 kHz sine at -10 dBFS
is: well above the silence threshold, as music is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.dataset import SPLIT_NAMES
from edgegenre.data.feature_cache import NO_SPLIT, FeatureCache, save_cache
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.file_formats import read_npz
from edgegenre_runtime.frontend import Tables, log_mel
from edgegenre_runtime.frontend.decibels import Q9_PER_DB

from .track_table import GtzanClip, gtzan_table

__all__ = ["import_logmel"]

_RATE_HZ = 22050
_NOMINAL_S = 30.0
_NOMINAL_SAMPLES = 661_504
_LIBROSA_HOP = 512
_COLUMN_SPACING = 1.78532  # column c is frame round((1.78532 c + 4.397) F / 1293), of F frames
_FIRST_COLUMN = 4.397
_FULL_FRAMES = 1293
_PEAK_DBFS = -10.0
_CODES = {name: code for code, name in enumerate(SPLIT_NAMES)}


def import_logmel(
    folder: Path | str, tables: Tables, out: Path | str, progress: Callable[[int, int], None] | None = None
) -> int:
    """Convert ``folder/logmel_721.npz`` into a feature cache.

    Split codes and groups are from :mod:`.track_table`: those of the fault-filtered artist split, tracks in none of
    its lists have none; groups are artists, a clip whose artist is unknown is its own.

    Parameters
    ----------
    folder
        The set's folder.
    tables
        The front-end: any hop, all else as in GTZAN's log-mels (22050 Hz, n_fft 2048, 128 mels to 11025 Hz).
    out
        The cache to write.
    progress
        Called with the clips done and the clips in all.

    Returns
    -------
    int
        Clips written.

    Raises
    ------
    DataError
        Another front-end, a missing or damaged file, or a cache that cannot be written.
    """
    folder, spec = Path(folder), tables.spec
    if (spec.sample_rate_hz, spec.n_fft, spec.n_mels, spec.fmin_hz, spec.fmax_hz) != (_RATE_HZ, 2048, 128, 0, 11025):
        raise DataError(
            f"front-end {spec.name} has other bands than the ready log-mels (22050 Hz, n_fft 2048, 128 mels)"
        )
    arrays = _load(folder / "logmel_721.npz")
    names = [str(name) for name in arrays["name"]]
    clips = [_table_row(name) for name in names]
    n_samples = [_n_samples(float(duration_s)) for duration_s in arrays["dur_s"]]
    offsets = np.cumsum([0, *(spec.n_frames(n) for n in n_samples)], dtype=np.int64)
    frames = np.empty((spec.n_mels, int(offsets[-1])), np.int16)
    peak_q9 = _sine_peak_q9(tables)
    for index, (start, stop) in enumerate(itertools.pairwise(offsets)):
        columns_db = _columns_db(arrays["X"][index], float(arrays["vmin_db"][index]))
        columns_at = _column_frames(n_samples[index], columns_db.shape[1]) * _LIBROSA_HOP
        frames_at = spec.hop_samples * np.arange(stop - start) + spec.n_fft // 2
        level_db = _interpolated(columns_db, columns_at, frames_at)
        frames[:, start:stop] = np.rint(peak_q9 + level_db * Q9_PER_DB).astype(np.int16)
        if progress is not None:
            progress(index + 1, len(names))
    cache = FeatureCache(
        frames=frames,
        offsets=offsets,
        y=arrays["y"].astype(np.int64),
        labels=tuple(str(genre) for genre in arrays["genres"]),
        names=tuple(names),
        groups=tuple(clip.group for clip in clips),
        split=np.array([_CODES.get(clip.filtered_split, NO_SPLIT) for clip in clips], np.uint8),
        spec=spec,
        spec_hash=tables.spec_hash,
    )
    save_cache(cache, out)
    return len(names)


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays and check that they fit together."""
    try:
        arrays = read_npz(path, ("X", "y", "name", "genres", "vmin_db", "dur_s"))
    except OSError as error:
        raise DataError(f"{path}: cannot read the ready log-mels ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{path}: not the ready log-mel set, or damaged") from error
    X, y = arrays["X"], arrays["y"]
    per_clip = {arrays[key].shape for key in ("y", "name", "vmin_db", "dur_s")}
    kinds = "".join(arrays[key].dtype.kind for key in ("name", "genres", "vmin_db", "dur_s"))
    is_sound = (
        kinds == "UUff"
        and X.ndim == 3
        and X.dtype == np.uint8
        and X.shape[1] == 128
        and X.shape[2] > 1
        and arrays["genres"].ndim == 1
        and per_clip == {(len(X),)}
        and len(X) > 0
        and np.issubdtype(y.dtype, np.integer)
        and bool(((y >= 0) & (y < len(arrays["genres"]))).all())
        and bool(((arrays["dur_s"] > 1) & (arrays["dur_s"] < 3600) & np.isfinite(arrays["vmin_db"])).all())
        and bool((arrays["vmin_db"] < 0).all())
    )
    if not is_sound:
        raise DataError(f"{path}: damaged log-mel set, its arrays do not fit together")
    return arrays


def _columns_db(x: npt.NDArray[np.uint8], vmin_db: float) -> npt.NDArray[np.float64]:
    """Return dB below the clip's maximum, float64 of the shape of ``x``."""
    return (x.astype(np.float64) + 0.5) / 256 * -vmin_db + vmin_db


def _n_samples(duration_s: float) -> int:
    """Return the number of samples of a clip; clips with the nominal 30 s have 661504 or more."""
    return _NOMINAL_SAMPLES if duration_s == _NOMINAL_S else round(duration_s * _RATE_HZ)


def _column_frames(n_samples: int, n_columns: int) -> npt.NDArray[np.float64]:
    """Return which librosa frame each column is, float64 [n_columns] of whole numbers."""
    n_frames = 1 + n_samples // _LIBROSA_HOP
    columns = np.arange(n_columns)
    frames: npt.NDArray[np.float64] = np.rint((_COLUMN_SPACING * columns + _FIRST_COLUMN) * n_frames / _FULL_FRAMES)
    return frames


def _interpolated(
    values: npt.NDArray[np.float64], at: npt.NDArray[np.float64], frames: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Interpolate the rows of ``values`` [M, C], known at ``at`` [C], linearly at ``frames`` [T]; [M, T]."""
    right = np.clip(np.searchsorted(at, frames), 1, at.size - 1)
    weight = np.clip((frames - at[right - 1]) / (at[right] - at[right - 1]), 0.0, 1.0)
    result: npt.NDArray[np.float64] = values[:, right - 1] * (1 - weight) + values[:, right] * weight
    return result


def _sine_peak_q9(tables: Tables) -> int:
    """Return the largest log-mel of a 1 kHz sine at -10 dBFS."""
    spec = tables.spec
    t = np.arange(2 * spec.n_fft) / spec.sample_rate_hz
    pcm = np.rint(32767 * 10 ** (_PEAK_DBFS / 20) * np.sin(2 * np.pi * 1000.0 * t)).astype(np.int16)
    return int(log_mel(pcm, tables).frames_q9.max())


def _table_row(name: str) -> GtzanClip:
    """Return the table's row of a clip; raises :class:`DataError` for a name that GTZAN does not have."""
    if name not in gtzan_table():
        raise DataError(f"{name}: GTZAN has no such clip; names are such as blues.00000")
    return gtzan_table()[name]
