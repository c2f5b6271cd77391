"""Robustness: the same tracks again, as a microphone, a codec or a noisy room would deliver them.

Recordings are changed as waveforms (:data:`AUDIO_CONDITIONS`), a feature cache in its log-mels
(:data:`CACHE_CONDITIONS`), where a codec cannot be imitated. Noise is drawn from a seed, so that every model
gets the same.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre.augment.spectrogram import add_noise, band_centers_hz, band_limit
from edgegenre.data.clips import read_clip
from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.data.windows import cut_windows
from edgegenre_runtime.audio.files import audio_files
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import FrontendSpec, Tables, log_mel
from edgegenre_runtime.frontend.decibels import db_to_q9, q9_to_db
from edgegenre_runtime.workers import Workers

from .models import open_ensemble, predictor_in_worker
from .run import ALL
from .scoring import Predictor, RunEach, TrackScores, score_windows

__all__ = [
    "AUDIO_CONDITIONS",
    "CACHE_CONDITIONS",
    "RobustnessRow",
    "audio_robustness",
    "cache_robustness",
    "measure_robustness",
]

_CLEAN = "as it is"
_GAIN_DB, _SNR_DB, _CUT_HZ = 20.0, 20.0, 8000.0
_MP3_64_KBIT = 0.63
"""libsndfile's compression level for constant 64 kbit/s at 22.05 and 24 kHz (0 is 160 kbit/s)."""
_MICROPHONE = ((0.0, -24.0), (60.0, -12.0), (150.0, -3.0), (400.0, 0.0), (2500.0, 2.0), (4500.0, 6.0), (8000.0, -2.0))
_MICROPHONE_END = (11025.0, -14.0)

Pcm = npt.NDArray[np.int16]
Db = npt.NDArray[np.float32]
_Float = npt.NDArray[np.float64]
Change = Callable[[Db, FrontendSpec, np.random.Generator], Db]


@dataclasses.dataclass(frozen=True, slots=True)
class RobustnessRow:
    """The results of a model under one condition.

    Attributes
    ----------
    condition
        Name of the condition.
    accuracy, n_tracks
        Fraction of the tracks that are correct, and the number of tracks.
    n_changed, only_clean_right, only_here_right
        Tracks whose prediction changed, and how many of them were correct only before, and only after, the change.
    mean_shift
        Mean over the tracks of half the sum of absolute probability differences, 0 … 1.
    """

    condition: str
    accuracy: float
    n_tracks: int
    n_changed: int
    only_clean_right: int
    only_here_right: int
    mean_shift: float


def microphone_db(hz: _Float) -> _Float:
    """Return the response in dB of a small USB microphone: little bass, a peak at 4.5 kHz, dull above 8 kHz.

    Piecewise linear over log frequency between a few chosen points; the shape is that of the data sheets of small
    electret capsules behind a hole, not of any one product.
    """
    knots = np.array([*_MICROPHONE, _MICROPHONE_END])
    at, level = np.log(np.maximum(knots[:, 0], 20.0)), knots[:, 1]
    response: _Float = np.interp(np.log(np.maximum(hz, 20.0)), at, level)
    return response


def _filtered(pcm: Pcm, rate_hz: int, response_db: Callable[[_Float], _Float]) -> Pcm:
    """Filter with a zero-phase response given in dB over Hz."""
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    hz: _Float = np.fft.rfftfreq(len(pcm), 1 / rate_hz).astype(np.float64)
    spectrum *= 10.0 ** (response_db(hz) / 20)
    return _to_pcm(np.fft.irfft(spectrum, len(pcm)))


def _to_pcm(samples: _Float) -> Pcm:
    pcm: Pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return pcm


def _noisy(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    level = math.sqrt(float((pcm.astype(np.float64) ** 2).mean())) * 10.0 ** (-_SNR_DB / 20)
    return _to_pcm(pcm + level * rng.standard_normal(len(pcm)))


def _mp3(pcm: Pcm, rate_hz: int) -> Pcm:
    """Encode as mono MP3 of 64 kbit/s and decode; the decoder's delay of about 50 ms stays."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate_hz, format="MP3", bitrate_mode="CONSTANT", compression_level=_MP3_64_KBIT)
    buffer.seek(0)
    decoded: Pcm = soundfile.read(buffer, dtype="int16")[0]
    return decoded


AUDIO_CONDITIONS: dict[str, Callable[[Pcm, int, np.random.Generator], Pcm]] = {
    _CLEAN: lambda pcm, rate_hz, rng: pcm,
    "gain +20 dB, clipped": lambda pcm, rate_hz, rng: _to_pcm(pcm * 10.0 ** (_GAIN_DB / 20)),
    "gain -20 dB": lambda pcm, rate_hz, rng: _to_pcm(pcm * 10.0 ** (-_GAIN_DB / 20)),
    "white noise, 20 dB SNR": lambda pcm, rate_hz, rng: _noisy(pcm, rng),
    "nothing above 8 kHz": lambda pcm, rate_hz, rng: _filtered(
        pcm, rate_hz, lambda hz: np.where(hz > _CUT_HZ, -120, 0)
    ),
    "MP3, 64 kbit/s": lambda pcm, rate_hz, rng: _mp3(pcm, rate_hz),
    "small USB microphone": lambda pcm, rate_hz, rng: _filtered(pcm, rate_hz, microphone_db),
}
"""From int16 PCM, its rate in Hz and a source of randomness to int16 PCM."""


CACHE_CONDITIONS: dict[str, Change] = {
    _CLEAN: lambda db, spec, rng: db,
    "gain +20 dB": lambda db, spec, rng: db + np.float32(_GAIN_DB),
    "gain -20 dB": lambda db, spec, rng: db - np.float32(_GAIN_DB),
    "colored noise, 20 dB SNR": lambda db, spec, rng: add_noise(db, _SNR_DB, spec, rng),
    "nothing above 8 kHz": lambda db, spec, rng: band_limit(db, 0.0, _CUT_HZ, spec),
    "small USB microphone": lambda db, spec, rng: db + microphone_db(band_centers_hz(spec)).astype(np.float32)[:, None],
}
"""From a track's log-mels, float32 [n_mels, T] dB, spec and a source of randomness to the same shape."""


def measure_robustness(
    models: Sequence[Path], features: Path | None, part: str, audio: Path | None, workers: Workers | None = None
) -> dict[str, list[RobustnessRow]]:
    """Return a table for a part of a feature cache and one for a folder of recordings, by what they are.

    Raises
    ------
    EdgeGenreError
        What :func:`.run.open_ensemble`, :func:`edgegenre.data.feature_cache.load_cache` and :func:`audio_robustness`
        raise.
    """
    labels, tables, predict = open_ensemble(models)[:3]
    run_each: RunEach = map
    if workers is not None:
        predict, run_each = predictor_in_worker(models), workers.map
    tables_by_title = {}
    if features is not None:
        cache = load_cache(features, tables)
        tracks = np.arange(len(cache.names), dtype=np.int64) if part == ALL else cache.tracks_of(part)
        tables_by_title[f"{features}, {part}: log-mels changed"] = cache_robustness(
            predict, cache, tracks, tables, run_each=run_each
        )
    if audio is not None:
        tables_by_title[f"{audio}: recordings changed"] = audio_robustness(
            predict, audio, labels, tables, run_each=run_each
        )
    return tables_by_title


def cache_robustness(
    predict: Predictor,
    cache: FeatureCache,
    tracks: npt.NDArray[np.int64],
    tables: Tables,
    seed: int = 0,
    run_each: RunEach = map,
) -> list[RobustnessRow]:
    """Score a predictor on the given tracks of a cache under each of :data:`CACHE_CONDITIONS`."""
    cache.require_single("robustness")
    scores = []
    for change in CACHE_CONDITIONS.values():
        windows = []
        for track in tracks:
            db = q9_to_db(cache.track(int(track)))
            changed = change(db, tables.spec, np.random.default_rng((seed, int(track))))
            windows.append(cut_windows(db_to_q9(changed), tables))
        scores.append(score_windows(predict, windows, cache.truth(tracks), run_each=run_each))
    return _rows(list(CACHE_CONDITIONS), scores)


def audio_robustness(
    predict: Predictor,
    folder: Path,
    labels: Sequence[str],
    tables: Tables,
    seed: int = 0,
    run_each: RunEach = map,
) -> list[RobustnessRow]:
    """Score a predictor on recordings under each of :data:`AUDIO_CONDITIONS`, by the device's front-end.

    Parameters
    ----------
    predict
        The model.
    folder
        Recordings; the class is the name of the sub-folder, or the first part of the file's name (``blues.1.wav``).
    labels
        Classes of the model.
    tables, seed
        The front-end, and where the noise comes from.
    run_each
        As :func:`.scoring.score_windows` takes it.

    Raises
    ------
    DataError
        If there is no recording, or one whose class is unknown.
    AudioError
        If a recording cannot be read.
    """
    files = [Path(name) for name in audio_files([folder])]
    if not files:
        raise DataError(f"{folder}: no audio files in it")
    truth = np.array([_class_of(file, labels) for file in files], np.int64)
    pcms = [read_clip(file, tables.spec.sample_rate_hz, min_samples=tables.spec.n_fft).pcm for file in files]
    scores = []
    for change in AUDIO_CONDITIONS.values():
        windows = []
        for number, pcm in enumerate(pcms):
            changed = change(pcm, tables.spec.sample_rate_hz, np.random.default_rng((seed, number)))
            windows.append(cut_windows(log_mel(changed, tables).frames_q9, tables))
        scores.append(score_windows(predict, windows, truth, run_each=run_each))
    return _rows(list(AUDIO_CONDITIONS), scores)


def _class_of(file: Path, labels: Sequence[str]) -> int:
    for name in (file.parent.name, file.name.split(".")[0]):
        if name in labels:
            return list(labels).index(name)
    raise DataError(f"{file}: neither its folder nor what its name begins with is one of {', '.join(labels)}")


def _rows(conditions: Sequence[str], scores: Sequence[TrackScores]) -> list[RobustnessRow]:
    clean = scores[0]
    truth = clean.truth
    before = clean.probabilities.argmax(axis=1)
    rows = []
    for condition, score in zip(conditions, scores, strict=True):
        now = score.probabilities.argmax(axis=1)
        rows.append(
            RobustnessRow(
                condition=condition,
                accuracy=score.track_accuracy,
                n_tracks=score.n_tracks,
                n_changed=int((now != before).sum()),
                only_clean_right=int(((before == truth) & (now != truth)).sum()),
                only_here_right=int(((before != truth) & (now == truth)).sum()),
                mean_shift=float(np.abs(score.probabilities - clean.probabilities).sum(axis=1).mean() / 2),
            )
        )
    return rows
