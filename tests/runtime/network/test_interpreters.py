"""Models loaded into interpreters."""

import subprocess
import sys

import numpy as np
from onnx_bundle import SHIPPED_ONNX

from edgegenre_runtime.frontend.decibels import CELL_ZERO_POINT, cell_scale_db
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.interpreters import OnnxModel, Port, TfliteModel


def test_a_loaded_model_says_what_it_takes_and_gives():
    windows = np.random.default_rng(0).integers(-128, 128, (3, 128, 128)).astype(np.int8)
    bundle = read_bundle(default_bundle())
    tflite, onnx = TfliteModel(bundle.read("model_int8.tflite")), OnnxModel(SHIPPED_ONNX.read_bytes())
    assert tflite.input == Port((1, 128, 128, 1), np.dtype(np.int8), cell_scale_db(80), CELL_ZERO_POINT)
    assert onnx.input == Port((1, 1, 128, 128), np.dtype(np.int8), cell_scale_db(80), CELL_ZERO_POINT)
    for model in (tflite, onnx):
        assert (model.output.shape, model.output.dtype, model.output.scale > 0) == ((1, 10), np.int8, True)
        one = model.run(windows[0].reshape(model.input.shape))[0]
        assert np.array_equal(model.run_all(windows[:3])[0], one)
    assert "DELEGATE" in tflite.ops
    assert "DELEGATE" not in TfliteModel(bundle.read("model_int8.tflite"), reference_kernels=True).ops


def test_a_closed_standard_error_is_no_fault():
    code = "from edgegenre_runtime.network.interpreters import quiet_stderr\nwith quiet_stderr(): print('ran')"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -c "$1" 2>&-', "sh", code], capture_output=True, text=True
    )
    assert done.stdout == "ran\n"
