"""Multiply-adds: by hand for each kind of layer, and the same number for one network as TFLite, ONNX and torch."""

import pytest

from edgegenre.checkpoint import default_checkpoint, load_checkpoint, to_module
from edgegenre.evaluate.complexity import measure
from edgegenre_export.convert.onnx_report import inspect_onnx
from edgegenre_runtime.inspect.multiply_adds import count_multiply_adds
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle


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


def test_the_shipped_network_counts_the_same_in_every_format():
    bundle = read_bundle(default_bundle())
    network = to_module(load_checkpoint(default_checkpoint()))
    by_torch = measure("shipped", network, bundle.tables.spec).n_macs
    assert inspect_tflite(bundle.read("model_int8.tflite")).n_macs == by_torch
    assert inspect_onnx(bundle.read("model_int8.onnx")).n_macs == by_torch
