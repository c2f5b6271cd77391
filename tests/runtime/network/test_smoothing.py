"""The exponential mean over time."""

import numpy as np
import pytest

from edgegenre_runtime.network.smoothing import Smoother, smooth_track


def test_smoothing_is_an_exponential_mean():
    smoother = Smoother(2.0)
    a, b = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    assert smoother.push(a, 0.0).tolist() == [1, 0]
    assert smoother.push(b, 2.0) == pytest.approx([np.exp(-1), 1 - np.exp(-1)])
    smoother.reset()
    assert smoother.push(b, 2.5).tolist() == [0, 1]
    off = Smoother(0.0)
    off.push(a, 0.0)
    assert off.push(b, 1.0).tolist() == [0, 1]


def test_a_track_is_smoothed_as_listening_does():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 9).astype(np.float32)
    at_s = np.cumsum(np.linspace(0.5, 3, 9))
    smoother = Smoother(5.0)
    assert np.array_equal(smooth_track(rows, at_s), [smoother.push(row, t) for row, t in zip(rows, at_s, strict=True)])
