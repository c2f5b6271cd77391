"""What a device answers about cached tracks: genre, silence, noise or uncertain, window by window and for the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache, load_cache
from edgegenre.data.windows import track_records, window_hop_frames
from edgegenre_runtime.audio.sound_gate import NOISE, NOT_GENRES, SILENCE, UNCERTAIN
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.network.answer_gate import AnswerGate

from .models import open_model
from .run import Evaluation
from .scoring import Predictor

__all__ = ["Rejections", "SoundRow", "TrackAnswer", "answer_tracks", "format_rejections", "measure_rejections"]

_PART = "test"


@dataclasses.dataclass(frozen=True, slots=True)
class TrackAnswer:
    """The labels of a track's windows, and of the track as a file."""

    windows: tuple[str, ...]
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class SoundRow:
    """One kind of sound: windows in all, and how many were answered silence, noise and uncertain."""

    kind: str
    n: int
    silence: int
    noise: int
    uncertain: int

    @property
    def share(self) -> float:
        """Share of the windows that got no genre."""
        return (self.silence + self.noise + self.uncertain) / self.n


@dataclasses.dataclass(frozen=True, slots=True)
class Rejections:
    """How well a model says that it does not know.

    Attributes
    ----------
    sounds
        The cache of sounds.
    rows
        Its kinds.
    n_right, n_lost, n_lost_windows
        Tracks of the music that the network has right, and of these the tracks answered without a genre; windows of
        them answered so.
    n_windows
        Windows of the tracks that the network has right.
    """

    sounds: str
    rows: tuple[SoundRow, ...]
    n_right: int
    n_lost: int
    n_windows: int
    n_lost_windows: int

    @property
    def share(self) -> float:
        """Share of the sounds' windows that got no genre."""
        return sum(row.share * row.n for row in self.rows) / sum(row.n for row in self.rows)

    def summary(self) -> dict[str, Any]:
        """Return the figures JSON-ready."""
        return {
            "sounds_without_genre": round(self.share, 4),
            "sound_windows": sum(row.n for row in self.rows),
            "by_kind": {row.kind: round(row.share, 4) for row in self.rows},
            "right_tracks": self.n_right,
            "right_tracks_lost": self.n_lost,
            "right_tracks_lost_share": round(self.n_lost / max(self.n_right, 1), 4),
        }


def measure_rejections(model: Path, evaluation: Evaluation, features: Path, sounds: Path) -> Rejections:
    """Ask a model about sounds that are no music, and about the tracks of an evaluation, as a device does.

    Parameters
    ----------
    model
        Bundle or checkpoint; its ``music_detector`` and ``uncertain_below`` count.
    evaluation
        Its scores on the music.
    features
        The cache of that music.
    sounds
        Cache of `edgegenre data sounds`; its classes are the kinds, and its test part is measured.

    Raises
    ------
    DataError
        If the sounds are of another front-end, or have no test part.
    """
    opened = open_model(model)
    tables, predict, gate = opened.tables, opened.predict, opened.gate
    cache = load_cache(sounds, tables)
    tracks = cache.tracks_of(_PART)
    if not len(tracks):
        raise DataError(f"{sounds}: no sounds in its test part: make it with `edgegenre data sounds`")
    answers = answer_tracks(gate, evaluation.labels, predict, cache, tracks, tables)
    rows = []
    for index, kind in enumerate(cache.labels):
        of_kind = zip(answers, tracks, strict=True)
        labels = [label for answer, track in of_kind if cache.y[track] == index for label in answer.windows]
        if labels:
            rows.append(SoundRow(kind, len(labels), *(labels.count(one) for one in (SILENCE, NOISE, UNCERTAIN))))
    music = load_cache(features, tables)
    at = {name: track for track, name in enumerate(music.names)}
    is_right = evaluation.scores.probabilities.argmax(axis=1) == evaluation.scores.truth
    right = np.array([at[name] for name, ok in zip(evaluation.names, is_right, strict=True) if ok], np.int64)
    found = answer_tracks(gate, evaluation.labels, predict, music, right, tables)
    windows = [label for answer in found for label in answer.windows]
    return Rejections(
        sounds=str(sounds),
        rows=tuple(rows),
        n_right=len(found),
        n_lost=sum(answer.label in NOT_GENRES for answer in found),
        n_windows=len(windows),
        n_lost_windows=sum(label in NOT_GENRES for label in windows),
    )


def answer_tracks(
    new_gate: Callable[[], AnswerGate],
    labels: Sequence[str],
    predict: Predictor,
    cache: FeatureCache,
    tracks: npt.NDArray[np.int64],
    tables: Tables,
) -> list[TrackAnswer]:
    """Answer tracks of a cache as ``edgegenre-run FILE`` does; the level of single blocks is not in a cache."""
    hop_s = window_hop_frames(tables.spec.frames_per_window) * tables.spec.hop_samples / tables.spec.sample_rate_hz
    answers = []
    for track in tracks:
        gate, found, music = new_gate(), [], []
        for index, window in enumerate(track_records(cache, int(track), tables)):
            if not gate.hears_music(window):
                found.append(SILENCE if window.is_silence else NOISE)
                continue
            music.append(predict(window.cells[None])[0])
            is_sure = gate.is_sure(music[-1], index * hop_s)
            found.append(labels[int(music[-1].argmax())] if is_sure else UNCERTAIN)
        mean = np.mean(music, axis=0) if music else np.zeros(len(labels))
        best = labels[int(mean.argmax())] if mean.max() >= gate.uncertain_below else UNCERTAIN
        answers.append(TrackAnswer(tuple(found), gate.without_music(found) or best))
    return answers


def format_rejections(result: Rejections) -> str:
    """Return the table of the sounds and the line on the music as text."""
    lines = [f"sounds that are no music ({result.sounds}, test): share of windows answered"]
    lines += [f"{'kind':12}  windows  silence  noise  uncertain  no genre"]
    lines += [
        f"{row.kind:12}  {row.n:7d}  {row.silence / row.n:7.3f}  {row.noise / row.n:5.3f}  "
        f"{row.uncertain / row.n:9.3f}  {row.share:8.3f}"
        for row in result.rows
    ]
    n, n_lost = result.n_right, result.n_lost
    return "\n".join(
        [
            *lines,
            f"{'all':12}  {sum(row.n for row in result.rows):7d}  {'':7}  {'':5}  {'':9}  {result.share:8.3f}",
            f"of {n} tracks that the network has right, {n_lost} ({n_lost / max(n, 1):.3f}) get no genre; of their "
            f"{result.n_windows} windows {result.n_lost_windows / max(result.n_windows, 1):.3f}",
        ]
    )
