"""Evaluation, comparison and report of small fresh networks on random tracks."""

import dataclasses
import html.parser
import json
import math
import re
import warnings

import numpy as np
import pytest

from edgegenre.checkpoint import default_checkpoint, load_checkpoint
from edgegenre.cli import main
from edgegenre.evaluate.metrics.single_label import calibration
from edgegenre.evaluate.models import open_ensemble
from edgegenre.evaluate.report.evaluation_report import format_comparison, format_evaluation, write_report
from edgegenre.evaluate.report.plots import classes_png, confusion_png
from edgegenre.evaluate.run import compare, evaluate, read_label_map, record_metrics
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.printable import n_columns


@pytest.fixture(scope="module")
def evaluations(small_cache, small_checkpoints):
    return [evaluate(path, small_cache, "test") for path in small_checkpoints]


def test_figures_agree_with_the_probabilities(evaluations):
    result = evaluations[0]
    scores = result.scores
    assert result.names == tuple(f"<script>{i}&.wav" for i in range(16, 24))
    assert result.tracks.accuracy == pytest.approx((scores.probabilities.argmax(axis=1) == scores.truth).mean())
    assert result.windows.n == scores.windows_per_track.sum() == len(scores.window_truth)
    assert result.windows.accuracy == pytest.approx(scores.window_accuracy)
    first = scores.window_probabilities[: scores.windows_per_track[0]].mean(axis=0)
    assert first == pytest.approx(scores.probabilities[0], abs=1e-6)
    assert json.loads(json.dumps(result.details()))["confusion"] == result.tracks.confusion.tolist()


def test_all_parts(small_cache, small_checkpoints):
    assert evaluate(small_checkpoints[0], small_cache, "all").tracks.n == 24


def test_two_models_compared(evaluations):
    a, b = evaluations
    result = compare(a, b)
    answers = [e.scores.probabilities.argmax(axis=1) for e in evaluations]
    assert len(result.changed) == (answers[0] != answers[1]).sum() > 0
    truth = a.scores.truth
    gain = result.only_b_right - result.only_a_right
    assert gain == (answers[1] == truth).sum() - (answers[0] == truth).sum()
    assert "McNemar" in format_comparison(a, b, result)
    same = compare(a, a)
    assert (same.changed, same.p_value) == ((), 1.0)


def test_an_ensemble_answers_with_the_mean(evaluations, small_cache, small_checkpoints):
    both = evaluate(small_checkpoints[0], small_cache, "test", others=small_checkpoints[1:])
    mean = np.mean([e.scores.window_probabilities for e in evaluations], axis=0)
    np.testing.assert_allclose(both.scores.window_probabilities, mean, atol=1e-6)
    assert both.model == " + ".join(map(str, small_checkpoints))


def test_models_of_other_classes_cannot_answer_together(small_cache, small_checkpoints):
    with pytest.raises(UsageError, match="differ in classes"):
        evaluate(small_checkpoints[0], small_cache, "test", others=[default_checkpoint()])


def test_only_evaluations_of_the_same_tracks_can_be_compared(evaluations, small_cache, small_checkpoints):
    with pytest.raises(UsageError, match="not evaluated on the same tracks"):
        compare(evaluations[0], evaluate(small_checkpoints[0], small_cache, "valid"))


def test_the_calibration_of_answers_is_of_what_listening_smooths(small_cache, small_checkpoints, monkeypatch):
    """The device shows an exponential mean over 5 s; windows are 64 frames apart, 4.46 s."""
    whole = open_ensemble([small_checkpoints[0]])
    rng = np.random.default_rng(0)
    opened = whole._replace(predict=lambda cells: rng.dirichlet(np.ones(3), len(cells)).astype(np.float32))
    monkeypatch.setattr("edgegenre.evaluate.run.open_ensemble", lambda models: opened)
    result = evaluate(small_checkpoints[0], small_cache, "all")
    decay, start, rows = math.exp(-64 * 1536 / 22050 / 5), 0, []
    for count in result.scores.windows_per_track:
        mean = None
        for window in result.scores.window_probabilities[start : start + count].astype(np.float64):
            mean = window if mean is None else decay * mean + (1 - decay) * window
            rows.append(mean)
        start += count
    truth = result.scores.window_truth
    means = np.array(rows)
    expected = calibration(means.max(axis=1), means.argmax(axis=1) == truth)
    assert result.answers.ece == pytest.approx(expected.ece)
    assert result.answers.ece != pytest.approx(result.windows.calibration.ece, abs=1e-4)


class _Links(html.parser.HTMLParser):
    """Collects what a page loads, and which tags it has."""

    def __init__(self):
        super().__init__()
        self.sources, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]


def test_the_report_is_one_file_that_loads_nothing_and_escapes_names(evaluations, tmp_path):
    a, b = evaluations
    path = tmp_path / "report.html"
    write_report(path, a, "edgegenre evaluate <x>", (b, compare(a, b)))
    text = path.read_text("utf-8")
    page = _Links()
    page.feed(text)
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link", "iframe"} & page.tags
    assert "&lt;script&gt;" in text
    assert "McNemar" in text
    assert not re.search(r"https?://|url\(|@import", re.sub(r"base64,[^\"]*", "", text))


def test_the_text_has_every_class_and_count(evaluations):
    text = format_evaluation(evaluations[0])
    assert text.startswith("test: accuracy ")
    for label in ("blues", "jazz", "rock $x$"):
        assert len(re.findall(rf"^{re.escape(label)} ", text, re.MULTILINE)) == 2


def test_the_columns_of_the_text_are_those_of_a_terminal(evaluations):
    named = dataclasses.replace(evaluations[0], labels=("流行音樂", "jazz", "rock $x$"))
    rows = format_evaluation(named).splitlines()[-4:]
    assert {n_columns(row) for row in rows} == {8 + 2 + 3 * 6 - 1}
    assert rows[0].split() == ["truth", "流行", "jazz", "rock"]


def test_labels_of_any_script_are_drawn():
    confusion = np.array([[3, 0], [1, 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert confusion_png(confusion, ("$_{", "音楽")).startswith(b"\x89PNG")
        assert classes_png(()).startswith(b"\x89PNG")


def test_a_label_map_renames_and_drops(small_cache, small_checkpoints, evaluations):
    same = evaluate(small_checkpoints[0], small_cache, "test", {name: name for name in evaluations[0].labels})
    assert same.scores.probabilities.tolist() == evaluations[0].scores.probabilities.tolist()
    fewer = evaluate(small_checkpoints[0], small_cache, "test", {"blues": "jazz", "jazz": "jazz"})
    assert fewer.dropped == 3
    assert fewer.tracks.n == 5
    assert set(fewer.scores.truth.tolist()) == {1}
    assert "3 tracks left out" in format_evaluation(fewer)
    assert fewer.summary()["dropped_tracks"] == 3


@pytest.mark.parametrize(
    ("label_map", "says"),
    [
        ({"polka": "jazz"}, "names 'polka', which the data set does not have"),
        ({"jazz": "polka"}, "names 'polka', which the model does not have"),
    ],
)
def test_a_label_map_of_other_labels(small_cache, small_checkpoints, label_map, says):
    with pytest.raises(UsageError, match=says):
        evaluate(small_checkpoints[0], small_cache, "test", label_map)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', "\xff"])
def test_a_file_that_is_no_label_map(tmp_path, text):
    (tmp_path / "map.json").write_text(text, "latin-1")
    with pytest.raises(DataError, match="label map"):
        read_label_map(tmp_path / "map.json")
    with pytest.raises(DataError, match="cannot read"):
        read_label_map(tmp_path / "none.json")


def test_recorded_figures_reach_the_checkpoint(evaluations, small_checkpoints, tmp_path):
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"c{suffix}").write_bytes(small_checkpoints[0].with_suffix(suffix).read_bytes())
    record_metrics(tmp_path / "c.safetensors", "test", evaluations[0].summary(), "a command")
    recorded = load_checkpoint(tmp_path / "c.safetensors").meta["metrics"]["test"]
    assert recorded["command"] == "a command"
    assert {"track_accuracy", "track_accuracy_95", "weighted_f1", "ece"} <= set(recorded)


def test_the_command(small_cache, small_checkpoints, tmp_path, capsys):
    a, b = map(str, small_checkpoints)
    report = tmp_path / "r.html"
    assert main(["evaluate", a, str(small_cache), "--against", b, "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "against" in out
    assert "clips changed" in out
    assert report.stat().st_size > 20_000
    (tmp_path / "map.json").write_text('{"jazz": "jazz", "blues": "blues"}')
    arguments = ["evaluate", a, str(small_cache), "--against", b, "--json", "--map", str(tmp_path / "map.json")]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["dropped_tracks"] == 3
    assert 0 <= document["against"]["mcnemar_p"] <= 1
    assert main(["evaluate", a, str(small_cache), "--report", str(tmp_path / "no" / "r.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
