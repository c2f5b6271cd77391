"""Files and streams: the same windows get the same labels, and a whole clip's label follows from theirs."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from edgegenre.toy.dataset import render
from edgegenre.toy.sounds import render_sound
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.audio.music_detector import DETECTOR_FILE, MusicDetector
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.frontend import Clip, log_mel, normalize
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.network.answer_gate import AnswerGate
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.classifier import default_bundle

RATE_HZ = 22050


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="module")
def mixed():
    """Ten seconds each of hum, music and applause, twice as long as a window."""
    return np.concatenate([render_sound("hum", 3, 20.0), render("rock", 1, 20.0), render_sound("applause", 5, 20.0)])


def test_a_file_and_a_stream_give_the_same_windows_the_same_labels(classifier, mixed):
    spec = classifier.tables.spec
    hop_s = 64 * spec.hop_samples / RATE_HZ
    block = AudioBlock((mixed[:, None] / 32768).astype(np.float32), RATE_HZ, 0, 0.0)
    live = {a.end_s: a for a in Analyzer(classifier, every_s=hop_s, smooth_s=0).process(block) if not a.is_repeated}
    found = list(classifier.stream([mixed]))
    assert {answer.label for answer in found} > {"noise"}
    assert [answer.label for answer in found] == [live[answer.end_s].label for answer in found]
    for answer in found:
        assert dict(live[answer.end_s].probabilities) == pytest.approx(dict(answer.probabilities))


@pytest.mark.parametrize("kind", ["hum", "rain", "knocks"])
def test_a_file_that_is_no_music_gets_no_genre(classifier, kind):
    pcm = render_sound(kind, 2, 20.0)
    answer = classifier.predict_clip(Clip(pcm, RATE_HZ))
    assert (answer.label, answer.probabilities, answer.top3) == ("noise", {}, [])
    assert answer.windows[0].probabilities == {}


def gate(below=0.5):
    return AnswerGate(MusicDetector.of(None), below, GenreClassifier.load().tables.spec)


@pytest.mark.parametrize(
    ("windows", "label"),
    [
        (["rock", "noise"], None),
        (["rock", "noise", "noise"], "noise"),
        (["rock", "noise", "silence", "silence"], "silence"),
        (["silence"], "silence"),
        (["uncertain", "uncertain"], None),
    ],
)
def test_a_clip_is_no_music_where_most_of_its_windows_are_none(windows, label):
    assert AnswerGate.without_music(windows) == label


def test_a_clip_whose_mean_is_below_the_threshold_is_uncertain(classifier):
    windows = [
        classifier.classify(
            normalize(log_mel(render("rock", 1, 10.0), classifier.tables).frames_q9[:, :128], classifier.tables)
        )
    ]
    low = [dataclasses.replace(windows[0], label="rock", probabilities=dict.fromkeys(classifier.labels, 0.1))]
    answer = classifier.summarize(low, "clip")
    assert (answer.label, len(answer.top3)) == ("uncertain", 3)


def test_confidence_is_smoothed_over_five_seconds_and_starts_anew():
    sure, unsure = np.array([0.8, 0.2], np.float32), np.array([0.45, 0.55], np.float32)
    one = gate(0.6)
    assert one.is_sure(sure, 0.0)
    assert one.is_sure(unsure, 4.0)  # exp(-4/5) of the first and the rest of the second: 0.607
    assert not one.is_sure(unsure, 8.0)
    one.reset()
    assert one.is_sure(sure, 9.0)


def bundle_with(tmp_path, content):
    bundle = read_bundle(default_bundle())
    own = ("files", "format_version", "labels", "spec_hash")
    files = {
        name: bundle.read(name) for name in bundle.manifest["files"] if name not in ("frontend.json", "labels.txt")
    }
    files[DETECTOR_FILE] = content
    about = {key: value for key, value in bundle.manifest.items() if key not in own}
    write_bundle(tmp_path / "b", files, tables=bundle.tables, labels=bundle.labels, about=about)
    return tmp_path / "b"


def test_a_bundle_s_detector_counts(tmp_path):
    deaf = dataclasses.replace(MusicDetector.of(None), bias=-1000.0)
    classifier = GenreClassifier.load(bundle_with(tmp_path, json.dumps(deaf.to_dict()).encode()))
    assert classifier.predict_clip(Clip(render("rock", 1, 10.0), RATE_HZ)).label == "noise"


def test_less_than_a_window_is_held_against_steady_noise_alone(tmp_path):
    deaf = dataclasses.replace(MusicDetector.of(None), bias=-1000.0)
    classifier = GenreClassifier.load(bundle_with(tmp_path, json.dumps(deaf.to_dict()).encode()))
    assert classifier.predict_clip(Clip(render("rock", 1, 3.0), RATE_HZ)).label != "noise"
    assert classifier.predict_clip(Clip(render_sound("hum", 1, 3.0), RATE_HZ)).label == "noise"


@pytest.mark.parametrize("content", [b"", b"[1]", b"[" * 100_000, b'{"bias": 0, "statistics": {}}'])
def test_a_damaged_detector_is_refused_when_the_bundle_is_loaded(tmp_path, content):
    with pytest.raises(BundleError, match="export the bundle again"):
        GenreClassifier.load(bundle_with(tmp_path, content))


def test_a_bundle_without_one_has_the_rule_for_steady_noise(tmp_path):
    folder = shutil.copytree(default_bundle(), tmp_path / "b")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop(DETECTOR_FILE, None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    classifier = GenreClassifier.load(folder)
    assert classifier.predict_clip(Clip(render_sound("hum", 2, 10.0), RATE_HZ)).label == "noise"
    assert classifier.predict_clip(Clip(render_sound("applause", 0, 10.0), RATE_HZ)).label != "noise"
