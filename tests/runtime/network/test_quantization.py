"""quantize and dequantize: rint, clip, and nothing lost on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest

from edgegenre_runtime.network.quantization import dequantize, quantize

SCALE_DB = float(np.float32(80 / 255))


def test_every_cell_survives_the_round_trip() -> None:
    cells = np.arange(-128, 128, dtype=np.int8)
    assert np.array_equal(quantize(dequantize(cells, SCALE_DB, -128), SCALE_DB, -128), cells)


def test_ends_of_the_input_range() -> None:
    real = dequantize(np.array([-128, 127], dtype=np.int8), SCALE_DB, -128)
    assert real.dtype == np.float32
    assert real[0] == 0
    assert real[1] == pytest.approx(80, abs=1e-5)


@pytest.mark.parametrize(
    ("real", "steps"),
    [(0.49, 0), (0.51, 1), (-0.51, -1), (1.99, 2), (0.5, 0), (1.5, 2), (1e9, 127), (-1e9, -128)],
)
def test_rounds_to_nearest_and_clips(real: float, steps: int) -> None:
    assert quantize([real], 1.0, 0) == steps  # a cast that truncates gives 0 for 0.51 and 1 for 1.99


def test_dtype_decides_the_limits() -> None:
    assert quantize([1e9, -1e9], 1.0, 0, np.uint8).tolist() == [255, 0]
    assert quantize([1e9, -1e9], 1.0, 0, np.int16).tolist() == [32767, -32768]
