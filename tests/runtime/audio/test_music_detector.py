"""What the statistics of a window see, and what a fitted detector makes of music and of other sounds."""

import dataclasses
import json

import numpy as np
import pytest

from edgegenre.toy.dataset import render
from edgegenre.toy.sounds import KINDS, render_sound
from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.music_statistics import STATISTICS, window_statistics
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import Window, log_mel, normalize, released

TABLES = released("wide9s")
SPEC = TABLES.spec


def window_of(pcm):
    return normalize(log_mel(pcm, TABLES).frames_q9[:, :128], TABLES)


def statistics_of(cells):
    return dict(zip(STATISTICS, window_statistics(np.asarray(cells, np.int8), SPEC).tolist(), strict=True))


def test_a_still_window_does_not_move_and_keeps_its_lines():
    cells = np.full((128, 128), -100, np.int8)
    cells[::16] = 100
    found = statistics_of(cells)
    moving = (found[key] for key in ("deviation_median_db", "movement_db", "onset_deviation_db"))
    assert max(moving) < 1e-3
    assert found["tone_70_ms"] == pytest.approx(found["tone_1100_ms"])
    assert found["tone_280_ms"] > 0.9
    assert found["steady_lines"] > 0.9
    assert abs(found["rhythm"]) < 1e-3


def test_a_beat_is_a_rhythm_and_moves_all_bands_together():
    cells = np.full((128, 128), -60, np.int8)
    cells[:, ::7] = 60  # every 0.49 s
    found = statistics_of(cells)
    assert found["rhythm"] > 0.8
    assert found["togetherness"] == pytest.approx(1, abs=0.05)


def test_every_statistic_is_finite_at_the_extremes():
    rng = np.random.default_rng(0)
    for cells in (np.full((128, 128), -128), np.full((128, 128), 127), rng.integers(-128, 128, (128, 128))):
        assert np.isfinite(window_statistics(cells.astype(np.int8), SPEC)).all()


def test_the_front_end_s_other_hop_is_measured_in_seconds():
    """The same tone, lasting 0.2 s, holds over 70 ms and not over 280 ms, whatever the hop."""
    for name in ("seed3s", "wide9s"):
        spec = released(name).spec
        frames = round(0.2 * spec.sample_rate_hz / spec.hop_samples)
        cells = np.full((128, 128), -128, np.int8)
        for start in range(0, 128, frames):
            cells[(start * 37) % 120 : (start * 37) % 120 + 3, start : start + frames] = 100
        found = dict(zip(STATISTICS, window_statistics(cells, spec).tolist(), strict=True))
        assert found["tone_70_ms"] > 0.4 > found["tone_280_ms"]


def test_without_a_fitted_detector_steady_noise_alone_is_no_music():
    detector = MusicDetector.of(None)
    assert not detector.hears_music(window_of(render_sound("hum", 0, 12.0)), SPEC)
    assert detector.hears_music(window_of(render("disco", 0, 12.0)), SPEC)


@pytest.fixture(scope="module")
def shipped():
    from edgegenre_runtime import GenreClassifier

    return GenreClassifier.load()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_shipped_detector_hears_no_music_in_sounds_of_other_seeds(shipped, kind):
    heard = [shipped.answer_gate().hears_music(window_of(render_sound(kind, seed, 10.0))) for seed in range(500, 508)]
    assert sum(heard) <= 2


@pytest.mark.shared
def test_the_shipped_detector_hears_music_in_recordings(shipped, shared_dir):
    from edgegenre_runtime.audio.files import file_blocks

    heard = []
    for path in sorted((shared_dir / "data" / "gtzan" / "clips").glob("*.flac")):
        pcm = np.concatenate(list(file_blocks(path, SPEC.sample_rate_hz)))
        heard.append(shipped.answer_gate().hears_music(window_of(pcm)))
    assert np.mean(heard) > 0.95


def test_written_and_read_it_is_the_same():
    rng, n = np.random.default_rng(0), len(STATISTICS)
    detector = MusicDetector(tuple(rng.normal(size=n)), tuple(rng.random(n) + 0.1), tuple(rng.normal(size=2 * n)), 0.3)
    again = MusicDetector.of(json.loads(json.dumps(detector.to_dict())))
    assert again == detector
    assert again.score(np.zeros((3, n))).shape == (3,)


def damaged(change):
    entry = MusicDetector.of(None).to_dict()
    change(entry)
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        [],
        {},
        damaged(lambda e: e["statistics"].pop("rhythm")),
        damaged(lambda e: e["statistics"].update(more=[0, 1, 0, 0])),
        damaged(lambda e: e["statistics"].update(rhythm=[0, 1, 0])),
        damaged(lambda e: e["statistics"].update(rhythm=[0, 0, 0, 0])),
        damaged(lambda e: e["statistics"].update(rhythm=["x", 1, 0, 0])),
        damaged(lambda e: e.update(bias=float("nan"))),
        damaged(lambda e: e.update(statistics=[])),
    ],
)
def test_a_damaged_one_is_refused(entry):
    with pytest.raises(BundleError, match="music detector is damaged"):
        MusicDetector.of(entry)


def test_the_bias_moves_the_limit():
    detector, window = MusicDetector.of(None), window_of(render("disco", 0, 12.0))
    assert isinstance(window, Window)
    assert not dataclasses.replace(detector, bias=-100.0).hears_music(window, SPEC)
