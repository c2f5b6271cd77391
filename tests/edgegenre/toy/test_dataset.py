from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.toy.dataset import render, write_dataset
from edgegenre.toy.styles import STYLES
from edgegenre.toy.synth import DRUMS, Timbre, chord, drum
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import log_mel, released


def test_the_styles_are_gtzans() -> None:
    wanted = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
    assert list(STYLES) == wanted


@pytest.mark.parametrize("style", STYLES)
def test_a_piece_is_its_seed(style: str) -> None:
    first, again, other = render(style, 1, 2.0), render(style, 1, 2.0), render(style, 2, 2.0)
    assert first.dtype == np.int16
    assert first.shape == (44100,)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first.astype(int)).max() > 8000
    loudness = first.astype(float) ** 2
    assert loudness[-11025:].mean() > 100  # it plays to the end


def test_patterns_are_whole_bars_of_known_marks() -> None:
    for style in STYLES.values():
        patterns = [p for part in style.parts for p in part.patterns] + [p for _, _, ps in style.drums for p in ps]
        assert all(len(pattern) == 16 and set(pattern) <= set(".xor358wl") for pattern in patterns)
        assert all(set(pattern) <= set(".xo") for _, _, ps in style.drums for pattern in ps)


def test_the_sample_rate_is_free() -> None:
    assert render("metal", 0, 0.5, sample_rate_hz=48000).shape == (24000,)


def test_ten_seconds_render_within_a_second() -> None:
    started = time.process_time()
    render("country", 0, 10.0)
    assert time.process_time() - started < 1.0


@pytest.mark.slow
def test_a_nearest_centroid_tells_the_styles_apart() -> None:
    tables = released("wide9s")

    def features(style: str, seed: int) -> np.ndarray:
        db = log_mel(render(style, seed, 8.0), tables).frames_q9 * (3.0103 / 512)
        db = np.maximum(db - db.max(), -80)
        return np.concatenate([db.mean(axis=1), db.std(axis=1)])

    centroids = {style: np.mean([features(style, seed) for seed in range(8)], axis=0) for style in STYLES}
    n_right = 0
    for style in STYLES:
        for seed in range(100, 105):
            heard = features(style, seed)
            n_right += style == min(centroids, key=lambda c: np.linalg.norm(centroids[c] - heard))
    assert n_right / 50 >= 0.9


def test_the_data_set_is_in_gtzans_layout(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    written = write_dataset(tmp_path / "toy", 2, 0.5, seed=3, progress=lambda *d: done.append(d))
    assert len(written) == 20
    assert done == [(i, 20) for i in range(1, 21)]
    assert sorted(tmp_path.rglob("*.*")) == sorted(written)  # nothing temporary is left
    pcm, rate_hz = soundfile.read(tmp_path / "toy/jazz/jazz.00001.wav", dtype="int16")
    assert rate_hz == 22050
    np.testing.assert_array_equal(pcm, render("jazz", 300_001, 0.5))


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="style 'polka' is unknown; there are: blues"):
        render("polka", 0, 1.0)
    for seed, seconds, rate_hz in [(-1, 1.0, 22050), (0, 0.0, 22050), (0, 601.0, 22050), (0, 1.0, 4000)]:
        with pytest.raises(UsageError, match="allowed are"):
            render("blues", seed, seconds, rate_hz)
    with pytest.raises(UsageError, match="clips per style"):
        write_dataset(tmp_path, 0, 1.0, 0)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot make the folder"):
        write_dataset(tmp_path / "file", 1, 1.0, 0)


@pytest.mark.parametrize("name", DRUMS)
def test_drums_hit_and_fade(name: str) -> None:
    hit = drum(name, 22050, np.random.default_rng(0))
    assert 0.2 < np.abs(hit).max() < 2.5
    assert np.abs(hit[-50:]).max() < 0.05


@pytest.mark.parametrize("kind", ["fm", "pluck", "wave"])
def test_a_note_has_its_pitch(kind: str) -> None:
    note = chord([69], 1.0, Timbre(kind, rolloff=1.0, index=0.5), 22050, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(note * np.hanning(note.size)))
    assert abs(int(spectrum[:700].argmax()) - 440) <= 3


def test_unknown_sounds_are_refused() -> None:
    with pytest.raises(UsageError, match="drum 'cowbell' is unknown"):
        drum("cowbell", 22050, np.random.default_rng(0))
    with pytest.raises(UsageError, match="timbre kind 'organ' is unknown"):
        chord([60], 0.1, Timbre("organ"), 22050, np.random.default_rng(0))
