"""Figures and thresholds of networks that know several labels at a time, or a hierarchy."""

import numpy as np
import pytest

from edgegenre.evaluate.tasks.hierarchy import measure_hierarchy
from edgegenre.evaluate.tasks.multi_label import measure_multi_label
from edgegenre.evaluate.truth import answer_names, fit_thresholds, is_right, losses, truth_names
from edgegenre_runtime.network.task import make_task

MULTI = make_task("multi", ("a", "b", "c"), {"b": 0.7})
P = np.array([[0.9, 0.6, 0.1], [0.2, 0.8, 0.4], [0.6, 0.75, 0.3], [0.1, 0.1, 0.2]], np.float32)
TRUTH = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], bool)


def test_figures_of_several_labels_by_hand():
    m = measure_multi_label(MULTI, P, TRUTH)
    assert (m.n, m.exact, m.uncertain) == (4, 0.5, 0.25)
    a, b, c = m.labels
    assert (a.precision, a.recall, a.f1, a.support) == (1.0, pytest.approx(2 / 3), 0.8, 3)
    assert (b.precision, b.recall, b.threshold) == (0.5, 1.0, 0.7)
    assert c.average_precision is None
    assert c.roc_auc is None
    assert c.f1 == 0
    assert a.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)  # ranks 1, 2 and 4 of the four
    assert a.roc_auc == pytest.approx(2 / 3)
    assert b.roc_auc == 1.0
    assert m.mean_average_precision == pytest.approx((a.average_precision + 1.0) / 2)
    assert m.micro_f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert m.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_thresholds_have_the_largest_f1():
    rng = np.random.default_rng(3)
    p = rng.random((200, 3), dtype=np.float32)
    truth = p + rng.normal(0, 0.2, p.shape) > (0.3, 0.6, 0.9)
    fitted = fit_thresholds(MULTI, p, truth)
    best = {label.label: label.f1 for label in measure_multi_label(fitted, p, truth).labels}
    for other in np.linspace(0, 1, 101):
        tried = fitted.with_thresholds(dict.fromkeys(MULTI.labels, float(other)))
        for row in measure_multi_label(tried, p, truth).labels:
            assert row.f1 <= best[row.label] + 1e-9
    assert fit_thresholds(MULTI, P, TRUTH).thresholds["c"] == 0.5  # no example: left alone


def test_equal_probabilities_are_on_one_side_of_a_threshold():
    task = make_task("multi", ("a", "b"))
    p = np.array([[0.5, 0.9], [0.5, 0.2], [0.5, 0.1]], np.float32)
    truth = np.array([[1, 1], [0, 0], [0, 0]], bool)
    fitted = fit_thresholds(task, p, truth)
    assert fitted.thresholds["a"] <= 0.5
    assert 0.2 < fitted.thresholds["b"] <= 0.9


TREE = make_task("hierarchy", ("jazz", "rock/metal", "rock/punk"), {"level 1": 0.5, "level 2": 0.6})
LEAF_P = np.array([[0.1, 0.7, 0.2], [0.1, 0.5, 0.4], [0.7, 0.2, 0.1], [0.4, 0.25, 0.35], [0.3, 0.3, 0.4]], np.float32)
NODES = ("jazz", "rock", "rock/metal", "rock/punk")


def nodes(*names):
    return np.array([NODES.index(name) for name in names])


def test_figures_of_a_hierarchy_by_hand():
    truth = nodes("rock/metal", "rock/punk", "rock/metal", "jazz", "rock")
    m = measure_hierarchy(TREE, LEAF_P, truth)
    first, second = m.levels
    assert (first.n, first.accuracy) == (5, 3 / 5)  # rock 0.6 against jazz 0.4 in the fourth: wrong
    assert (second.n, second.accuracy) == (3, 1 / 3)
    assert (second.answered, second.answered_right) == (1 / 3, 1.0)  # the third stops at jazz, the second at rock
    assert m.accuracy == 2 / 5
    # nodes in common: 2, 1, 0, 0, 1; of answers 2 2 1 1 1 (none is below its truth's level), of truths 2 2 2 1 1
    assert m.hierarchical_f1 == pytest.approx(2 * 4 / (7 + 8))
    # the device says rock/metal, rock, jazz, rock, rock
    assert m.device_f1 == pytest.approx(2 * 4 / (6 + 8))
    by_name = {row.label: row for row in m.nodes}
    assert (by_name["rock"].support, by_name["rock"].recall) == (4, 3 / 4)
    assert (by_name["jazz"].support, by_name["jazz"].precision) == (1, 0.0)


def test_a_track_of_an_inner_node_is_right_at_any_leaf_below():
    truth = nodes("rock", "rock", "rock", "jazz", "rock")
    assert is_right(TREE, LEAF_P, truth).tolist() == [True, True, False, False, True]
    assert losses(TREE, LEAF_P, truth) == pytest.approx(-np.log([0.9, 0.9, 0.3, 0.4, 0.7]), abs=1e-6)
    assert truth_names(TREE, truth)[0] == "rock"
    assert answer_names(TREE, LEAF_P)[:2] == ["rock/metal", "rock/metal"]


def test_level_thresholds_reject_what_is_mostly_wrong():
    p = np.array([[0.0, 0.9, 0.1], [0.0, 0.8, 0.2], [0.0, 0.55, 0.45], [0.0, 0.45, 0.55]], np.float32)
    truth = nodes("rock/metal", "rock/metal", "rock/punk", "rock/metal")
    fitted = fit_thresholds(TREE, p, truth)
    assert fitted.thresholds["level 1"] == 0.0
    assert 0.55 <= fitted.thresholds["level 2"] < 0.8
