"""Multiply-adds of each kind of layer, against counts by hand."""

import pytest

from edgegenre_runtime.inspect.multiply_adds import count_multiply_adds


@pytest.mark.parametrize(
    ("kind", "inputs", "weights", "outputs", "expected"),
    [
        ("weighted", (1, 8, 8, 3), (16, 3, 3, 3), (1, 4, 4, 16), 4 * 4 * 16 * 27),
        ("weighted", (1, 8, 8, 16), (16, 3, 3), (1, 8, 8, 16), 8 * 8 * 16 * 9),  # depthwise
        ("weighted", (1, 6, 4, 4), (9, 2, 3, 3), (1, 9, 4, 4), 4 * 4 * 9 * 18),  # three groups
        ("weighted", (1, 40), (10, 40), (1, 10), 400),
        ("transposed", (1, 4, 4, 8), (8, 16, 3, 3), (1, 9, 9, 16), 4 * 4 * 8 * 144),
        ("matmul", (5, 7), (), (2, 5, 3), 5 * 3 * 2 * 7),
    ],
)
def test_each_kind_of_layer_as_by_hand(kind, inputs, weights, outputs, expected):
    assert count_multiply_adds(kind, inputs=inputs, weights=weights, outputs=outputs) == expected
