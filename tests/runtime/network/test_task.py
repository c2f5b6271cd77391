"""What the outputs of a network mean: thresholds, label sets, label paths."""

import numpy as np
import pytest

from edgegenre_runtime.network.task import Answer, answer_text, make_task, task_from_dict
from edgegenre_runtime.network.taxonomy import ancestors, build_taxonomy, split_path

LEAVES = ("jazz", "rock/metal/black", "rock/metal/doom", "rock/punk")


def test_every_label_that_reaches_its_threshold_is_answered_the_most_probable_first():
    task = make_task("multi", ("blues", "jazz", "rock"), {"rock": 0.8})
    assert task.answer({"blues": 0.5, "jazz": 0.9, "rock": 0.79}) == Answer("jazz;blues", ("jazz", "blues"))
    assert task.answer({"blues": 0.49, "jazz": 0.1, "rock": 0.8}) == Answer("rock", ("rock",))
    assert task.answer({"blues": 0.49, "jazz": 0.1, "rock": 0.79}) == Answer("uncertain", ())
    assert task.no_genre("silence") == Answer("silence", ())


def test_of_several_labels_each_has_a_sigmoid_of_its_own():
    task = make_task("multi", ("a", "b", "c"))
    logits = np.array([[0.0, 100.0, -3.0], [-100.0, 2.0, 0.5]], np.float32)
    probabilities = task.probabilities(logits)
    assert probabilities.dtype == np.float32
    assert probabilities == pytest.approx(1 / (1 + np.exp(-logits.astype(np.float64))), abs=1e-6)
    middle = np.abs(logits) < 50
    assert task.logits(probabilities)[middle] == pytest.approx(logits[middle], abs=1e-3)


def test_one_label_of_several_is_answered_as_before():
    task = make_task("single", ("a", "b"))
    assert task.answer({"a": 0.3, "b": 0.7}) == Answer("b", None)
    assert task.to_dict() == {}
    assert task.no_genre("noise") == Answer("noise", None)
    assert task.probabilities(np.array([1.0, 1.0], np.float32)).tolist() == [0.5, 0.5]


def test_a_child_is_never_more_probable_than_its_parent():
    task, rng = make_task("hierarchy", LEAVES), np.random.default_rng(0)
    for logits in rng.normal(0, 8, (300, 4)).astype(np.float32):
        named = task.named(task.probabilities(logits))
        assert set(named) == {"jazz", "rock", "rock/metal", "rock/metal/black", "rock/metal/doom", "rock/punk"}
        assert named["jazz"] + named["rock"] == pytest.approx(1, abs=1e-5)
        for node in named:
            for above in ancestors(node):
                assert named[node] <= named[above]


@pytest.mark.parametrize(
    ("leaves", "labels"),
    [
        ((0.1, 0.3, 0.5, 0.1), ("rock", "rock/metal", "rock/metal/doom")),
        ((0.1, 0.4, 0.4, 0.1), ("rock", "rock/metal")),  # neither kind of metal reaches level 3
        ((0.1, 0.25, 0.2, 0.45), ("rock",)),  # the most probable leaf lies on a level that is not sure
        ((0.45, 0.2, 0.2, 0.15), ()),  # rock 0.55 is below level 1's threshold
        ((0.9, 0.0, 0.0, 0.1), ("jazz",)),
    ],
)
def test_an_answer_stops_at_the_level_that_is_sure(leaves, labels):
    task = make_task("hierarchy", LEAVES, {"level 1": 0.6, "level 2": 0.6, "level 3": 0.45})
    answer = task.answer(task.named(np.array(leaves, np.float32)))
    assert answer == Answer(labels[-1] if labels else "uncertain", labels)


def test_answers_for_people():
    assert answer_text("rock/punk", ("rock", "rock/punk")) == "rock › punk"
    assert answer_text("jazz;blues", ("jazz", "blues")) == "jazz, blues"
    assert answer_text("AC/DC", None) == "AC/DC"
    assert answer_text("silence", ()) == "silence"


def test_a_slash_beside_a_space_is_part_of_a_name():
    assert split_path("folk/Old-Time / Historic/fiddle") == ("folk", "Old-Time / Historic", "fiddle")


@pytest.mark.parametrize("leaves", [(), ("a", "a"), ("a", "a/b"), ("a//b", "c"), ("/a", "c"), ("a/", "c")])
def test_leaves_that_are_no_tree(leaves):
    with pytest.raises(ValueError, match=r"leaves|empty name|others below"):
        build_taxonomy(leaves)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "several"}, "task 'several' is unknown"),
        ({"task": ["multi"]}, "is unknown"),
        ({"task": "multi"}, "one threshold for each of: a, b"),
        ({"task": "multi", "thresholds": {"a": 0.5}}, "one threshold for each"),
        ({"task": "multi", "thresholds": [0.5, 0.5]}, "one threshold for each"),
        ({"task": "multi", "thresholds": {"a": 0.5, "b": 1.5}}, "'b' is 1.5; allowed are 0 to 1"),
        ({"task": "multi", "thresholds": {"a": 0.5, "b": True}}, "'b' is True"),
        ({"task": "multi", "thresholds": {"a": 0.5, "b": float("nan")}}, "'b' is nan"),
        ({"task": "hierarchy", "thresholds": {"level 2": 0.5}}, "one threshold for each of: level 1"),
        ({"thresholds": {"a": 0.5}}, "none"),
    ],
)
def test_damaged_descriptions_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        task_from_dict(values, ("a", "b"))


def test_what_is_written_is_read():
    for task in (make_task("multi", ("a", "b"), {"a": 0.25}), make_task("hierarchy", LEAVES, {"level 3": 0.125})):
        again = task_from_dict(task.to_dict(), task.labels)
        assert (again.kind, again.labels, again.thresholds) == (task.kind, task.labels, task.thresholds)


def test_the_tree_is_written_for_others_and_must_be_that_of_the_labels():
    described = make_task("hierarchy", LEAVES).to_dict()
    assert described["taxonomy"] == {"jazz": {}, "rock": {"metal": {"black": {}, "doom": {}}, "punk": {}}}
    assert "taxonomy" not in make_task("multi", ("a", "b")).to_dict()
    without = {key: value for key, value in described.items() if key != "taxonomy"}
    assert task_from_dict(without, LEAVES).taxonomy is not None  # of a bundle from before
    for wrong in ({"jazz": {}}, [], None):
        with pytest.raises(ValueError, match="the taxonomy is not that of the labels"):
            task_from_dict({**described, "taxonomy": wrong}, LEAVES)
    with pytest.raises(ValueError, match="the taxonomy is not that of the labels"):
        task_from_dict({"task": "multi", "thresholds": {"a": 0.5}, "taxonomy": {"a": {}}}, ("a",))
