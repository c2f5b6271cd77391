"""Figures and thresholds of networks that know several labels at a time."""

import numpy as np
import pytest

from edgegenre.evaluate.metrics.multi_label import measure_multi_label
from edgegenre.evaluate.metrics.truth import fit_thresholds
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
