"""Figures of merit against examples worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegenre.evaluate.metrics.single_label import ClassScore, calibration, mcnemar_exact, measure


def test_a_confusion_matrix_and_its_scores_by_hand():
    truth, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    figures = measure(np.eye(4, dtype=np.float32)[answers], truth, ("a", "b", "c", "d"))
    assert figures.confusion.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    a, b, c, d = figures.classes
    assert a == ClassScore("a", pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert b == ClassScore("b", pytest.approx(1 / 3), 0.5, pytest.approx(0.4), 2)
    assert c == ClassScore("c", 0, 0, 0, 1)
    assert d == ClassScore("d", 0, 0, 0, 0)


def test_weighted_and_macro_f1_leave_out_classes_that_do_not_occur():
    probabilities = np.float32([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0]])
    figures = measure(probabilities, np.array([0, 1, 1]), ("a", "b", "c"))
    assert figures.accuracy == pytest.approx(2 / 3)
    assert figures.weighted_f1 == pytest.approx((1 * (2 / 3) + 2 * (2 / 3)) / 3)
    assert figures.macro_f1 == pytest.approx(2 / 3)
    assert figures.macro_recall == pytest.approx((1 + 1 / 2) / 2)


def test_calibration_by_hand():
    # bins (0.4, 0.6], (0.8, 1.0] of five: two at 0.5 of which one is right, two at 0.9 and 1.0, both wrong
    result = calibration(np.array([0.5, 0.5, 0.9, 1.0]), np.array([True, False, False, False]), n_bins=5)
    assert result.counts.tolist() == [0, 0, 2, 0, 2]
    assert result.ece == pytest.approx(0.5 * 0.0 + 0.5 * 0.95)
    assert result.confidence[4] == pytest.approx(0.95)
    assert result.accuracy.tolist() == [0, 0, 0.5, 0, 0]


def test_a_bin_includes_its_upper_edge():
    assert calibration(np.array([0.0, 0.2, 0.4]), np.ones(3, bool), n_bins=5).counts.tolist() == [2, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 2 / 32), (1, 5, 2 * (1 + 6) / 64), (2, 8, 2 * (1 + 10 + 45) / 1024)],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    assert mcnemar_exact(only_a, only_b) == mcnemar_exact(only_b, only_a) == pytest.approx(p)


def test_mcnemar_of_many_changed_clips():
    assert mcnemar_exact(3000, 3000) == 1.0
    assert 0 <= mcnemar_exact(0, 5000) < 1e-300


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.randoms())
def test_calibration_error_is_between_0_and_1_and_counts_everything(confidence, random):
    right = np.array([random.random() < 0.5 for _ in confidence])
    result = calibration(np.array(confidence), right)
    assert 0 <= result.ece <= 1
    assert result.counts.sum() == len(confidence)
