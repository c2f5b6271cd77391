"""Exact search: the same rows as by comparing in float64, whatever the blocks and threads."""

import numpy as np
import pytest

from edgegenre_runtime.library.playlists.nearest import nearest_rows, widened


def test_every_finite_float16_is_widened_to_its_value():
    values = np.arange(65536, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)]
    np.testing.assert_array_equal(widened(values).view(np.uint32), values.astype(np.float32).view(np.uint32))
    np.testing.assert_array_equal(widened(values.astype(">f2")), values.astype(np.float32))
    out = np.empty((4, 3), np.float32)
    assert widened(np.full((4, 3), -1.5, np.float16), out) is out
    assert (out == -1.5).all()


@pytest.mark.parametrize("n_threads", [None, 1, 3])
@pytest.mark.parametrize("k", [1, 3])
def test_the_search_is_exact_over_blocks_and_threads(n_threads, k):
    rng = np.random.default_rng(1)
    rows, points = rng.normal(size=(4001, 8)).astype(np.float16), rng.normal(size=(8, k)).astype(np.float32)
    found = nearest_rows(rows, points, 7, n_threads)
    wide = rows.astype(np.float64)
    cosines = wide @ points / np.linalg.norm(wide, axis=1)[:, None]
    np.testing.assert_array_equal(found, np.argsort(-cosines, axis=0)[:7])


def test_fewer_rows_than_wanted_and_than_threads():
    rows = np.array([[0.0, 1.0], [1.0, 0.0]], np.float16)
    np.testing.assert_array_equal(nearest_rows(rows, np.array([[1.0], [0.1]], np.float32), 5, 4), [[1], [0]])
    assert nearest_rows(rows[:0], np.ones((2, 1), np.float32), 5, 4).shape == (0, 1)
    np.testing.assert_array_equal(nearest_rows(rows * 0, np.ones((2, 1), np.float32), 1, 1).shape, (1, 1))
