"""From blocks to answers: the queue's counts, time with gaps, gates, smoothing, skipping."""

import dataclasses

import numpy as np
import pytest

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.music_detector import MusicDetector
from edgegenre_runtime.audio.sound_gate import NOISE, SILENCE, UNCERTAIN, uncertain_below
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.network.smoothing import smooth_track
from edgegenre_runtime.network.task import make_task

RATE_HZ = 22050


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="module")
def music():
    """Half a minute of toy jazz, float32 [n, 1]."""
    return (render("jazz", 1, 30.0).astype(np.float32) / 32768)[:, None]


def block(samples, rate_hz=RATE_HZ, lost=0):
    return AudioBlock(np.asarray(samples, np.float32).reshape(len(samples), -1), rate_hz, lost, 0.0)


def answers(analyzer, blocks, backlog_s=0.0):
    return [answer for one in blocks for answer in analyzer.process(one, backlog_s)]


def pieces(samples, n=4410, rate_hz=RATE_HZ):
    return [block(samples[at : at + n], rate_hz) for at in range(0, len(samples), n)]


@pytest.mark.parametrize(("every_s", "hop"), [(1.0, 43), (0.9, 39)])
def test_answers_come_every_hop_and_are_those_of_the_windows(classifier, music, every_s, hop):
    analyzer = Analyzer(classifier, every_s=every_s, smooth_s=0)
    found = answers(analyzer, pieces(music))
    spec = classifier.tables.spec
    assert analyzer.every_s == hop * spec.hop_samples / RATE_HZ
    frames = log_mel(render("jazz", 1, 30.0), classifier.tables).frames_q9
    whole = [answer for answer in found if not answer.is_repeated]
    assert len(whole) == (frames.shape[1] - 128) // hop + 1
    for i, answer in enumerate(whole):
        cells = normalize(frames[:, i * hop : i * hop + 128], classifier.tables).cells
        assert np.array_equal(answer.cells, cells)
        expected = dict(zip(classifier.labels, classifier.probabilities(cells).tolist(), strict=True))
        assert answer.probabilities == pytest.approx(expected)
        assert answer.start_s == pytest.approx(i * hop * spec.hop_samples / RATE_HZ)
    assert found[0].end_s < 1.3
    assert [answer.is_repeated for answer in found] == [True] * (len(found) - len(whole)) + [False] * len(whole)


def test_a_gap_starts_a_new_window_and_moves_the_clock(classifier, music):
    analyzer = Analyzer(classifier, every_s=0.5, smooth_s=0)
    first = answers(analyzer, pieces(music[: 10 * RATE_HZ]))
    assert not first[-1].is_repeated
    after = answers(analyzer, [block(music[: 2 * RATE_HZ], lost=5 * RATE_HZ)])
    assert after[0].is_repeated
    assert after[0].start_s == pytest.approx(15.0)
    assert [answer.dropped_samples for answer in after][:2] == [5 * RATE_HZ, 0]
    assert after[-1].captured_samples == 12 * RATE_HZ
    # what follows the gap holds nothing of what was before
    fresh = answers(Analyzer(classifier, every_s=0.5, smooth_s=0), [block(music[: 2 * RATE_HZ])])
    assert [a.cells.tobytes() for a in after] == [a.cells.tobytes() for a in fresh]


def test_another_rate_after_a_reconnect_goes_on(classifier, music):
    analyzer = Analyzer(classifier)
    answers(analyzer, pieces(music[: 3 * RATE_HZ]))
    found = answers(analyzer, [block(np.repeat(music[: 3 * 16000], 2, axis=1), 16000, lost=16000)])
    assert found[0].rate_hz == 16000
    assert found[0].start_s == pytest.approx(4.0)


def test_a_smoothed_answer_moves_slower(classifier, music):
    quick, slow = (answers(Analyzer(classifier, 0.5, s), pieces(music)) for s in (0, 20))

    def wobble(found):
        return np.abs(np.diff([a.probabilities["disco"] for a in found if a.probabilities and not a.is_repeated])).sum()

    assert wobble(slow) < 0.5 * wobble(quick)


def noises():
    rng, n = np.random.default_rng(0), 12 * RATE_HZ
    white, t = rng.normal(size=n), np.arange(n) / RATE_HZ
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.arange(1, n // 2 + 2)))
    hum = sum(np.sin(2 * np.pi * 50 * h * t) / h for h in range(1, 12))
    sounds = {"white": white, "pink": pink, "brown": np.cumsum(white), "hum": hum + 0.01 * white}
    sounds |= {"fan": hum + white, "tone": np.sin(2 * np.pi * 1000 * t)}
    return {name: (x / np.abs(x).max() * 0.1)[:, None] for name, x in sounds.items()}


@pytest.mark.parametrize("name", ["white", "pink", "brown", "hum", "fan", "tone"])
def test_steady_noise_gets_no_genre(classifier, name):
    found = answers(Analyzer(classifier), pieces(noises()[name]))
    assert {answer.label for answer in found} == {NOISE}
    assert all(answer.probabilities == {} for answer in found)


@pytest.mark.shared
def test_no_window_of_real_music_is_taken_for_noise_or_silence(classifier, shared_dir):
    from edgegenre_runtime.audio.files import file_blocks

    for path in sorted((shared_dir / "data" / "gtzan" / "clips").glob("*.flac")):
        pcm = np.concatenate(list(file_blocks(path, RATE_HZ)))
        frames = log_mel(pcm, classifier.tables).frames_q9
        for at in range(0, frames.shape[1] - 127, 16):
            window = normalize(frames[:, at : at + 128], classifier.tables)
            assert MusicDetector.of(None).hears_music(window, classifier.tables.spec), path


def test_quiet_is_silence_after_two_seconds_and_zeros_are_counted(classifier, music):
    analyzer = Analyzer(classifier, every_s=0.5)
    loud = answers(analyzer, pieces(music[: 10 * RATE_HZ]))
    assert loud[-1].label != SILENCE
    hush = np.random.default_rng(0).normal(size=(4 * RATE_HZ, 1)) * 10 ** (-70 / 20)
    found = answers(analyzer, pieces(hush))
    assert found[0].label != SILENCE
    assert found[-1].label == SILENCE
    assert analyzer.gate.zero_s == 0
    answers(analyzer, pieces(np.zeros((3 * RATE_HZ, 1))))
    assert analyzer.gate.zero_s == pytest.approx(3.0)


@pytest.mark.parametrize(("level_dbfs", "is_silent"), [(-64.5, False), (-65.5, True)])
def test_the_limit_of_silence_is_65_db_below_full_scale(classifier, music, level_dbfs, is_silent):
    analyzer = Analyzer(classifier, every_s=0.5)
    answers(analyzer, pieces(music[: 10 * RATE_HZ]))
    hush = np.tile(np.repeat([1.0, -1.0], 8), RATE_HZ // 4)[:, None] * 10 ** (level_dbfs / 20)  # a square wave, RMS 1
    found = answers(analyzer, pieces(hush))
    assert found[-1].level_dbfs == pytest.approx(level_dbfs, abs=0.3)  # int16 has 18 steps here
    assert analyzer.gate.is_quiet == is_silent
    assert (found[-1].label == SILENCE) == is_silent


@pytest.mark.parametrize(("quiet_s", "is_silent"), [(1.8, False), (2.1, True)])
def test_quiet_becomes_silence_after_two_seconds(classifier, music, quiet_s, is_silent):
    analyzer = Analyzer(classifier, every_s=0.5)
    answers(analyzer, pieces(music[: 10 * RATE_HZ]))
    answers(analyzer, pieces(np.full((round(quiet_s * RATE_HZ), 1), 1e-4), n=441))
    assert analyzer.gate.is_quiet == is_silent
    answers(analyzer, pieces(music[:441], n=441))
    assert not analyzer.gate.is_quiet


def test_the_level_is_of_the_audio_since_the_answer_before(classifier, music):
    """Also where several answers come from one block, as with a pipe that is read faster than real time."""
    quiet = music[: 12 * RATE_HZ] * 0.01
    (one,) = {round(a.level_dbfs) for a in answers(Analyzer(classifier, 0.5), [block(quiet)])}
    assert -70 < one < -40
    analyzer = Analyzer(classifier, 0.5)
    loud = answers(analyzer, [block(music[: 12 * RATE_HZ])])
    assert min(answer.level_dbfs for answer in loud) > -30
    after = answers(analyzer, [block(quiet), block(quiet)])
    assert all(answer.level_dbfs < -40 for answer in after[len(after) // 2 :])  # nothing loud is left over


def test_answers_of_a_part_of_a_window_are_not_smoothed_with_each_other(classifier, music):
    """Each holds all the audio of the one before: a mean of them would count the first second many times."""
    smooth, raw = (answers(Analyzer(classifier, 0.5, s), pieces(music[: 9 * RATE_HZ])) for s in (60, 0))
    repeated = [i for i, answer in enumerate(raw) if answer.is_repeated]
    assert len(repeated) > 5
    for i in repeated:
        assert smooth[i].probabilities == pytest.approx(raw[i].probabilities)
    first_whole = repeated[-1] + 1
    assert smooth[first_whole].probabilities != pytest.approx(raw[first_whole].probabilities)


def test_below_the_bundles_confidence_it_is_uncertain(classifier, music):
    manifest = {**classifier.bundle.manifest, "uncertain_below": 1.0}
    unsure = GenreClassifier(dataclasses.replace(classifier.bundle, manifest=manifest))
    (answer, *_) = [a for a in answers(Analyzer(unsure), pieces(music)) if not a.is_repeated]
    assert answer.label == UNCERTAIN
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert uncertain_below({}) == 0.35
    for wrong in ("0.5", 1.5, True, float("nan")):
        with pytest.raises(BundleError, match="uncertain_below"):
            uncertain_below({"uncertain_below": wrong})


@pytest.mark.parametrize("smooth_s", [0.0, 5.0, 60.0])
def test_uncertainty_is_of_the_smoothing_that_its_threshold_was_fitted_for(classifier, music, smooth_s):
    """The threshold of a bundle is fitted on probabilities smoothed over 5 s; --smooth is of what is shown."""
    manifest = {**classifier.bundle.manifest, "uncertain_below": 0.5}
    unsure = GenreClassifier(dataclasses.replace(classifier.bundle, manifest=manifest))
    mixed = np.concatenate([music, (render("blues", 2, 30.0).astype(np.float32) / 32768)[:, None]])
    found = [a for a in answers(Analyzer(unsure, 1.0, smooth_s), pieces(mixed)) if not a.is_repeated]
    raw = np.stack([classifier.probabilities(answer.cells) for answer in found])
    fitted_on = smooth_track(raw, np.array([answer.end_s for answer in found]))
    expected = fitted_on.max(axis=1) < 0.5
    assert 0 < expected.sum() < len(expected)
    near = np.abs(fitted_on.max(axis=1) - 0.5) < 0.02  # the partial windows before the first whole one still weigh in
    near |= np.array([a.label == NOISE for a in found])  # which comes before the threshold
    assert np.array_equal(np.array([a.label == UNCERTAIN for a in found])[~near][8:], expected[~near][8:])


def test_a_backlog_skips_windows_and_says_so(classifier, music):
    analyzer = Analyzer(classifier, every_s=0.5)
    assert answers(analyzer, pieces(music[: 5 * RATE_HZ]), backlog_s=2.0) == []
    (answer,) = answers(analyzer, [block(music[5 * RATE_HZ : int(5.5 * RATE_HZ)])])
    assert answer.skipped_windows == round(5.5 / analyzer.every_s) - 1  # all that were due but the one answered
    assert answer.end_s > 4.9  # the newest audio, not the oldest


def test_nan_and_huge_samples_are_counted_and_harmless(classifier, music):
    analyzer = Analyzer(classifier)
    spoilt = music[: 5 * RATE_HZ].copy()
    spoilt[100:200], spoilt[300], spoilt[400] = np.nan, np.inf, 1e30
    found = answers(analyzer, pieces(spoilt))
    assert analyzer.bad_samples == 101
    assert analyzer.take_warnings() == ["samples are NaN or infinite and count as 0"]
    assert analyzer.take_warnings() == []
    assert np.isfinite(found[-1].level_dbfs)


@pytest.mark.parametrize(("every_s", "smooth_s"), [(0.05, 0), (float("nan"), 0), (4000, 0), (1, -1), (1, 4000)])
def test_times_outside_what_is_allowed_are_refused(classifier, every_s, smooth_s):
    with pytest.raises(UsageError, match="allowed are"):
        Analyzer(classifier, every_s, smooth_s)


@pytest.mark.parametrize(("gain", "is_clipped"), [(1.0, False), (8.0, True)])
def test_a_level_above_full_scale_is_reported_once(classifier, music, gain, is_clipped):
    analyzer = Analyzer(classifier)
    loud = music / np.abs(music).max() * gain
    answers(analyzer, pieces(loud[: 5 * RATE_HZ]))
    warnings = analyzer.take_warnings()
    answers(analyzer, pieces(loud[5 * RATE_HZ :]))
    assert analyzer.take_warnings() == []
    assert ["above full scale and are clipped" in text for text in warnings] == [True] * is_clipped


def test_no_label_above_its_threshold_is_uncertain_and_silence_stays_silence(music):
    classifier = GenreClassifier.load()
    classifier.task = make_task("multi", classifier.labels, dict.fromkeys(classifier.labels, 1.0))
    analyzer = Analyzer(classifier, smooth_s=0)
    found = answers(analyzer, pieces(music[: 12 * RATE_HZ]))
    assert {(answer.label, answer.labels) for answer in found} == {(UNCERTAIN, ())}
    assert set(found[-1].probabilities) == set(classifier.labels)
    quiet = answers(analyzer, pieces(np.zeros((12 * RATE_HZ, 1), np.float32)))
    assert (quiet[-1].label, quiet[-1].labels, quiet[-1].probabilities) == (SILENCE, (), {})
    classifier.task = make_task("multi", classifier.labels, dict.fromkeys(classifier.labels, 0.0))
    found = answers(Analyzer(classifier), pieces(music[: 12 * RATE_HZ]))
    assert sorted(found[-1].labels) == sorted(classifier.labels)
    values = [found[-1].probabilities[label] for label in found[-1].labels]
    assert values == sorted(values, reverse=True)


def test_a_hierarchy_is_smoothed_and_answered_by_its_nodes(music):
    classifier = GenreClassifier.load()
    leaves = [f"{'low' if i % 2 else 'high'}/{label}" for i, label in enumerate(classifier.labels)]
    classifier.task = make_task("hierarchy", leaves, {"level 1": 0.0, "level 2": 1.0})
    answer = answers(Analyzer(classifier), pieces(music[: 12 * RATE_HZ]))[-1]
    assert answer.labels in (("high",), ("low",))
    assert answer.probabilities["high"] + answer.probabilities["low"] == pytest.approx(1, abs=1e-5)
