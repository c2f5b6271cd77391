"""`edgegenre evaluate` with thresholds and taxonomies: figures, refusals, and what stays untouched."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from edgegenre.checkpoint import load_checkpoint, save_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import load_cache, save_cache
from edgegenre.evaluate.report.task_report import write_task_report
from edgegenre.evaluate.task_run import evaluate_task
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.task import make_task

TAXONOMY = "label,parent\nloud,\nblues,\njazz,loud\nrock $x$,loud\n"


@pytest.fixture(scope="module")
def multi(small_cache, small_checkpoints, tmp_path_factory):
    """A multi-label cache and checkpoint: the small ones, every third track with a second class."""
    folder = tmp_path_factory.mktemp("multi")
    cache = load_cache(small_cache, released("wide9s"))
    members = cache.membership().copy()
    members[::3, 2] = True
    save_cache(dataclasses.replace(cache, task_kind="multi", members=members), folder / "m.npz")
    checkpoint = load_checkpoint(small_checkpoints[0])
    save_checkpoint(
        folder / "m.safetensors", dataclasses.replace(checkpoint, task=make_task("multi", checkpoint.labels))
    )
    return folder


@pytest.fixture
def run(capsys):
    """Run `edgegenre evaluate`; returns exit code, output and the one line of an error."""

    def evaluate(*words):
        code = main(["evaluate", *map(str, words)])
        return code, *capsys.readouterr()

    return evaluate


def test_several_labels_are_scored_and_reported(run, multi):
    code, out, err = run(multi / "m.safetensors", multi / "m.npz", "--report", multi / "r.html")
    assert code == 0, err
    assert "mean average precision" in out
    html = (multi / "r.html").read_text("utf-8")
    assert "ROC-AUC macro" in html
    assert "<script>1" not in html


def test_given_thresholds_decide_and_are_recorded(run, multi, tmp_path):
    for suffix in ("safetensors", "json"):
        shutil.copy(multi / f"m.{suffix}", tmp_path / f"m.{suffix}")
    (tmp_path / "t.json").write_text('{"blues": 0.0, "jazz": 1.0}')
    code, out, err = run(
        tmp_path / "m.safetensors", multi / "m.npz", "--thresholds", tmp_path / "t.json", "--record", "--json"
    )
    assert code == 0, err
    rows = {row["label"]: row for row in json.loads(out)["classes"]}
    assert rows["blues"]["recall"] == 1.0
    assert rows["jazz"]["threshold"] == 1.0
    saved = load_checkpoint(tmp_path / "m.safetensors")
    assert saved.task.thresholds == {"blues": 0.0, "jazz": 1.0, "rock $x$": 0.5}
    assert saved.meta["metrics"]["test"]["macro_f1"] == json.loads(out)["macro_f1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"polka": 0.5}', "'polka' is of nothing that the network knows; it has blues, jazz, rock"),
        ('{"blues": 1.5}', "'blues' is 1.5; allowed are 0 to 1"),
        ('{"blues": "high"}', "allowed are 0 to 1"),
        ('{"blues": NaN}', "allowed are 0 to 1"),
        ("[0.5]", "one JSON object"),
        ("{", "not JSON"),
        (None, "cannot read the thresholds"),
    ],
)
def test_bad_thresholds_are_one_line_and_change_nothing(run, multi, tmp_path, text, words):
    if text is not None:
        (tmp_path / "t.json").write_text(text)
    before = (multi / "m.json").read_bytes()
    code, _out, err = run(multi / "m.safetensors", multi / "m.npz", "--thresholds", tmp_path / "t.json", "--record")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert (multi / "m.json").read_bytes() == before


def test_a_model_of_plain_labels_is_judged_as_a_hierarchy(small_cache, small_checkpoints, tmp_path):
    (tmp_path / "t.csv").write_text(TAXONOMY)
    result = evaluate_task(small_checkpoints[0], small_cache, "test", taxonomy=tmp_path / "t.csv")
    first, second = result.tracks.levels
    assert (first.n, result.task.kind) == (8, "hierarchy")
    assert second.accuracy <= first.accuracy
    assert second.n == int((result.scores.truth != 0).sum())  # blues is a leaf of the first level
    assert np.array_equal(first.accuracy, (_top(result) == np.minimum(result.scores.truth, 1)).mean())
    write_task_report(tmp_path / "r.html", result, "edgegenre evaluate")
    assert "loud › rock $x$" in (tmp_path / "r.html").read_text("utf-8").replace("\\", "")


def _top(result):
    """Return 0 for blues and 1 for loud, by the larger of two sums."""
    p = result.scores.probabilities
    return (p[:, 0] < p[:, 1:].sum(axis=1)).astype(int)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "x"), "--against is for networks that answer one label"),
        (("--robustness",), "--robustness is for networks that answer one label"),
        (("--taxonomy", "t.csv"), "a taxonomy is for a network that answers one label"),
    ],
)
def test_options_that_do_not_fit_several_labels(run, multi, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TAXONOMY)
    code, _out, err = run(multi / "m.safetensors", multi / "m.npz", *words)
    assert code == 2
    assert message in err


def test_data_of_another_task_is_refused(run, multi, small_cache, small_checkpoints, tmp_path):
    (tmp_path / "t.json").write_text('{"blues": 0.5}')
    for words, message in (
        ((multi / "m.safetensors", small_cache), "are for a single task"),
        ((small_checkpoints[0], multi / "m.npz"), "several labels a track"),
        ((small_checkpoints[0], small_cache, "--thresholds", tmp_path / "t.json"), "--thresholds has no use"),
    ):
        code, _out, err = run(*words)
        assert code == 2
        assert message in err
