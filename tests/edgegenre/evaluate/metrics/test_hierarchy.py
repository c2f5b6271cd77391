"""Figures and thresholds of networks that know a hierarchy of labels."""

import numpy as np
import pytest

from edgegenre.evaluate.metrics.hierarchy import measure_hierarchy
from edgegenre.evaluate.metrics.truth import answer_names, fit_thresholds, is_right, losses, truth_names
from edgegenre_runtime.network.task import make_task

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
