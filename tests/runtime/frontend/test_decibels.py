import numpy as np
import pytest

from edgegenre_runtime.frontend import released
from edgegenre_runtime.frontend.decibels import (
    CELL_ZERO_POINT,
    DB_PER_Q9,
    Q9_PER_DB,
    cell_scale_db,
    cells_to_db,
    db_to_cells,
    db_to_q9,
    q9_to_db,
)

CELLS = np.arange(-128, 128).astype(np.int8)


def test_cells_span_the_floor_to_the_window_maximum():
    db = cells_to_db(CELLS, 80)
    assert db.dtype == np.float32
    assert (db[0], db[-1]) == (0.0, 80.0)
    assert np.array_equal(db_to_cells(db, 80), CELLS)
    assert db_to_cells(np.array([-5.0, 0.156, 0.158, 91.0]), 80).tolist() == [-128, -128, -127, 127]


def test_the_shipped_input_scale_is_a_float32():
    assert cell_scale_db(80) == np.float32(80 / 255) == 0.3137255012989044
    assert CELL_ZERO_POINT == -128


def test_an_octave_of_power_is_512_units():
    assert pytest.approx(3.0102999566) == DB_PER_Q9 * 512
    assert pytest.approx(1.0) == DB_PER_Q9 * Q9_PER_DB
    frames = np.array([-32768, -1, 0, 5, 32767], dtype=np.int16)
    assert np.array_equal(db_to_q9(q9_to_db(frames)), frames)
    assert db_to_q9(np.array([1e6, -1e6])).tolist() == [32767, -32768]


def test_the_normalizer_counts_the_same_steps():
    tables = released("seed3s")
    assert tables.norm_limit_q9 == round(tables.spec.top_db * Q9_PER_DB)
    assert tables.norm_gain_q22 / 2**22 == pytest.approx(DB_PER_Q9 / cell_scale_db(tables.spec.top_db), rel=1e-5)
