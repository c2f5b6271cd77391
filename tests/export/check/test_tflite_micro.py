"""The int8 model in TFLite Micro's own interpreter, and as a C array through a C compiler."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from edgegenre.models import ModelConfig, build
from edgegenre_export import inspect_tflite
from edgegenre_export.check.model_answers import run_tflite
from edgegenre_export.check.tflite_micro import check_micro, measure_micro, run_micro
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.convert.tflite.int8 import int8_tflite
from edgegenre_export.inputs.calibration_windows import toy_calibration
from edgegenre_export.model_files import pack_tflite
from edgegenre_export.package.c_array import micro_files
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import released

TABLES = released("wide9s")


@pytest.fixture(scope="module")
def model():
    """A small network with opinions, int8."""
    torch.manual_seed(0)
    network = build(ModelConfig("compact", 10)).eval()
    with torch.no_grad():
        network.get_parameter("head.weight").mul_(20)
    return int8_tflite(float_tflite(network, TABLES.spec), toy_calibration(TABLES, 8, seed=1).windows, TABLES.spec)


@pytest.fixture(scope="module")
def facts(model):
    return measure_micro(model)


def test_it_answers_bit_for_bit_as_the_reference_kernels(model, facts):
    music = toy_calibration(TABLES, 20, seed=3).windows
    noise = np.random.default_rng(0).integers(-128, 128, (30, 128, 128)).astype(np.int8)
    cells = np.concatenate([music, noise])
    made = run_micro(model, cells, facts.arena_bytes)
    assert len(np.unique(made, axis=0)) > 20
    assert "FULLY_CONNECTED" not in inspect_tflite(model).ops  # the one operator that rounds otherwise in LiteRT
    assert np.array_equal(made, run_tflite(model, cells, reference_kernels=True))


def test_the_arena_is_what_it_takes_and_no_less(model, facts):
    assert facts.arena_bytes % 16 == 0
    assert run_micro(model, np.zeros((1, 128, 128), dtype=np.int8), facts.arena_bytes).shape == (1, 10)
    with pytest.raises(ExportError, match="does not start") as caught:
        run_micro(model, np.zeros((1, 128, 128), dtype=np.int8), facts.arena_bytes - 16)
    assert "\n" not in str(caught.value)


def test_measuring_is_silent(model, capfd):
    measure_micro(model)
    assert capfd.readouterr() == ("", "")


def test_the_c_array_is_the_model(model, facts, tmp_path):
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler")
    for name, content in micro_files(model, facts).items():
        (tmp_path / name.removeprefix("c/")).write_bytes(content)
    command = [gcc, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-o", "model.so"]
    subprocess.run([*command, "model_int8.c"], cwd=tmp_path, check=True, capture_output=True)
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    array = (ctypes.c_ubyte * len(model)).in_dll(library, "model_int8")
    assert bytes(array) == model
    assert ctypes.addressof(array) % 16 == 0
    assert ctypes.c_uint.in_dll(library, "model_int8_len").value == len(model)


def test_the_header_says_what_firmware_needs(model, facts):
    header = micro_files(model, facts)["c/model_int8.h"].decode()
    assert f"#define MODEL_INT8_BYTES {len(model)}\n" in header
    assert f"#define MODEL_INT8_ARENA_BYTES {facts.arena_bytes}\n" in header
    assert "int8 [1, 128, 128, 1], scale 0.313725501, zero point -128" in header
    assert set(re.findall(r"resolver\.(\w+)\(\)", header)) == set(facts.resolver)
    assert {"AddConv2D", "AddDepthwiseConv2D", "AddMean"} <= set(facts.resolver)
    assert f"MicroMutableOpResolver<{len(facts.resolver)}>" in header


def with_operator(model, old, new):
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    for code in content.operatorCodes:
        if code.builtinCode == old:
            code.builtinCode, code.deprecatedBuiltinCode = new, min(new, 127)
    return pack_tflite(content)


def test_a_model_that_micro_lacks_an_operator_for_gets_no_array_but_a_reason(model):
    foreign = with_operator(model, schema.BuiltinOperator.MEAN, schema.BuiltinOperator.CONV_3D)
    target = check_micro(foreign, np.zeros((1, 128, 128), np.int8), np.zeros((1, 10), np.int8))
    assert target.facts is None
    assert "lacks an operator" in target.to_dict()["refused"]
    assert "CONV_3D" in target.to_dict()["refused"]


def test_other_answers_than_the_reference_kernels_stop_the_export(model):
    cells = np.zeros((2, 128, 128), dtype=np.int8)
    reference = run_tflite(model, cells, reference_kernels=True)
    target = check_micro(model, cells, reference).to_dict()
    assert target["model_bytes"] == len(model)
    assert (target["largest_difference_steps"], target["windows"]) == (0, 2)
    with pytest.raises(ExportError, match="one is allowed"):
        check_micro(model, cells, reference // 2)
