"""The range of an activation: what most windows stay within, zero included; everything for logits."""

import numpy as np
import pytest

from edgegenre_export.activation_range import QUANTILE, activation_range


def test_an_outlier_is_clipped_and_logits_are_not():
    lows, highs = np.full(100, -2.0), np.full(100, 3.0)
    lows[7], highs[8] = -50.0, 70.0
    assert activation_range(lows, highs) == pytest.approx((-2.0, 3.0))
    assert activation_range(lows, highs, is_whole=True) == (-50.0, 70.0)


def test_nine_windows_of_ten_stay_within():
    rng = np.random.default_rng(0)
    lows, highs = -rng.gamma(2, 1, 500), rng.gamma(2, 1, 500)
    low, high = activation_range(list(lows[:, None]), list(highs[:, None]))
    assert (lows >= low).mean() == pytest.approx(QUANTILE, abs=0.01)
    assert (highs <= high).mean() == pytest.approx(QUANTILE, abs=0.01)


def test_zero_is_in_the_range():
    assert activation_range([2.0, 3.0], [5.0, 6.0])[0] == 0.0
    assert activation_range([-3.0, -2.0], [-1.0, -1.0])[1] == 0.0
