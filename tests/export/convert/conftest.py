"""Models of the shipped network that its bundle does not carry."""

import pytest

from edgegenre.checkpoint import default_checkpoint, load_checkpoint, to_module
from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.onnx.int8 import int8_onnx
from edgegenre_export.inputs.calibration_windows import toy_calibration
from edgegenre_runtime.frontend import released


@pytest.fixture(scope="session")
def shipped_int8_onnx():
    """The shipped checkpoint as an int8 ONNX model, calibrated on 40 windows of toy music."""
    checkpoint = load_checkpoint(default_checkpoint())
    metadata = {"labels": "\n".join(checkpoint.labels), "spec_hash": checkpoint.spec_hash}
    windows = toy_calibration(released(checkpoint.spec.name), 40, 0).windows
    return int8_onnx(float_onnx(to_module(checkpoint), checkpoint.spec, metadata), windows, checkpoint.spec, metadata)
