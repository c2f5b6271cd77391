"""The export, end to end with the real converters and the real runtimes."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from ai_edge_litert.interpreter import Interpreter
from textures import LABELS, SPEC, TABLES, calibration, export, golden_pcm, reference_tracks, synthetic_windows
from walk import STAGES

from edgegenre.checkpoint import Checkpoint, to_module
from edgegenre_export import (
    Calibration,
    ExportJob,
    ExportResult,
    checkpoint_network,
    export_bundle,
    find_recipe,
    inspect_onnx,
    inspect_tflite,
    require_int8,
)
from edgegenre_export.check.model_answers import run_onnx, run_tflite, run_waveform
from edgegenre_export.convert.onnx.int8 import int8_onnx
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.convert.tflite.int8 import int8_tflite
from edgegenre_export.inputs.golden_pcm import golden_inputs
from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import (
    BundleError,
    CheckpointError,
    DataError,
    EdgeGenreError,
    ExportError,
    SpecError,
    UsageError,
)
from edgegenre_runtime.frontend import log_mel, normalize, released
from edgegenre_runtime.network.bundle import Bundle, read_bundle

SCALE_DB = np.float32(80 / 255)


@pytest.fixture(scope="module")
def checkpoint(textures_checkpoint: Checkpoint) -> Checkpoint:
    return textures_checkpoint


@pytest.fixture(scope="module")
def exported(textures_export: ExportResult) -> ExportResult:
    return textures_export


@pytest.fixture(scope="module")
def bundle(exported: ExportResult) -> Bundle:
    return read_bundle(exported.path)


@pytest.fixture(scope="module")
def float_model(checkpoint: Checkpoint) -> bytes:
    return float_tflite(to_module(checkpoint), SPEC)


def test_export_writes_the_whole_bundle(exported: ExportResult, bundle: Bundle) -> None:
    assert set(bundle.manifest["files"]) == {
        *("model_int8.tflite", "model_int8.onnx", "model_float.onnx", "model_audio.tflite", "model_audio.onnx"),
        *("frontend.json", "labels.txt", "net.eg"),
        *("recipe.json", "calibration.json", "golden.npz", "tensors.json", "card.md", "card.html"),
        *(name for name in bundle.manifest["files"] if name.startswith("c/")),
    }
    assert {"c/edgegenre_mel.h", "c/edgegenre_mel.c", "c/tables.h", "c/main.c"} <= set(bundle.manifest["files"])
    assert {"c/model_int8.h", "c/model_int8.c"} <= set(bundle.manifest["files"])
    micro = bundle.manifest["tflite_micro"]
    assert (micro["largest_difference_steps"], micro["windows"]) == (0, 3)
    assert f"MODEL_INT8_ARENA_BYTES {micro['arena_bytes']}\n" in bundle.read("c/model_int8.h").decode()
    assert bundle.labels == LABELS
    assert bundle.spec_hash == TABLES.spec_hash
    assert json.loads(bundle.read("recipe.json")) == json.loads(json.dumps(find_recipe("int8").to_dict()))
    assert json.loads(bundle.read("calibration.json"))["indices"] == list(range(48))
    assert all(metric["command"] == "pytest" for metric in bundle.manifest["metrics"])
    assert bundle.manifest["tools"]["torch"] == torch.__version__
    assert "scale 0.313725501, zero point -128" in bundle.read("card.md").decode()
    assert [path.name for path in exported.path.parent.iterdir()] == ["bundle"]


def test_a_job_visits_each_module_once_in_folder_order(
    textures_walk: tuple[ExportResult, list[str]],
) -> None:
    stops = textures_walk[1]
    assert len(stops) == len(set(stops)), stops
    folders = [stop.split("/")[0] for stop in stops]
    assert folders == sorted(folders, key=STAGES.index), stops
    assert set(folders) == set(STAGES)
    assert len(stops) > 20


def test_int8_answers_as_the_trained_network(exported: ExportResult) -> None:
    assert exported.agreement["model_float.onnx"].max_probability_difference < 1e-5
    for name in ("model_int8.tflite", "model_int8.onnx"):
        assert exported.agreement[name].top1_agreement == 1
        assert exported.agreement[name].max_probability_difference < 0.05


def test_waveform_models_answer_as_the_mel_path(exported: ExportResult, bundle: Bundle) -> None:
    assert set(exported.waveform_agreement) == {"model_audio.tflite", "model_audio.onnx"}
    golden = np.load(io.BytesIO(bundle.read("golden.npz")), allow_pickle=False)
    for name, agreement in exported.waveform_agreement.items():
        assert (agreement.n_windows, agreement.top1_agreement) == (3, 1)
        assert agreement.max_probability_difference < 0.05
        made = run_waveform(name, bundle.read(name), golden["pcm"])
        assert np.allclose(made, golden["output_" + name.replace(".", "_")], atol=1e-6)
        assert {"artifact": name, "data": "golden PCM, against the mel path"}.items() <= max(
            bundle.manifest["metrics"], key=lambda metric: metric["artifact"] == name
        ).items()


def test_tflite_is_int8_from_end_to_end(bundle: Bundle) -> None:
    interpreter = Interpreter(model_content=bundle.read("model_int8.tflite"))
    (given,), (made, embedding) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (embedding["name"], embedding["dtype"]) == ("embedding", np.int8)
    assert embedding["shape"].max() == embedding["shape"].prod() > 1
    assert given["dtype"] == made["dtype"] == np.int8
    assert given["shape"].tolist() == [1, 128, 128, 1]
    assert given["quantization_parameters"]["scales"].tolist() == [SCALE_DB]
    assert given["quantization"][1] == -128
    model_report = inspect_tflite(bundle.read("model_int8.tflite"))
    assert {tensor.dtype for tensor in model_report.tensors} <= {"int8", "int32"}
    layers = {"DEPTHWISE_CONV_2D", "CONV_2D", "MAX_POOL_2D", "MEAN"}
    assert set(model_report.ops) - {"TRANSPOSE", "RESHAPE"} == layers  # batch norm is in them, dense layers are 1 x 1


def test_onnx_takes_the_same_bytes(bundle: Bundle) -> None:
    session = onnxruntime.InferenceSession(bundle.read("model_int8.onnx"))
    (given,), (made, _) = session.get_inputs(), session.get_outputs()
    assert (given.type, given.shape) == ("tensor(int8)", [1, 1, 128, 128])
    assert (made.type, made.shape) == ("tensor(int8)", [1, len(LABELS)])
    properties = session.get_modelmeta().custom_metadata_map
    assert float(properties["input_scale_db"]) == SCALE_DB
    assert properties["input_zero_point"] == "-128"
    tflite = Interpreter(model_content=bundle.read("model_int8.tflite"))
    scale, zero_point = tflite.get_output_details()[0]["quantization"]
    assert float(properties["output_scale"]) == pytest.approx(scale, rel=1e-3)
    assert abs(int(properties["output_zero_point"]) - zero_point) <= 1
    assert properties["spec_hash"] == TABLES.spec_hash


def test_onnx_says_nothing_of_the_machine_that_made_it(bundle: Bundle) -> None:
    for name in ("model_float.onnx", "model_int8.onnx"):
        assert b"site-packages" not in bundle.read(name)
        assert str(Path(__file__).parents[2]).encode() not in bundle.read(name)


def test_runtimes_and_kernels_agree(checkpoint: Checkpoint, bundle: Bundle) -> None:
    cells, classes = synthetic_windows(40, seed=9)
    tflite = run_tflite(bundle.read("model_int8.tflite"), cells)
    reference = run_tflite(bundle.read("model_int8.tflite"), cells, reference_kernels=True)
    assert np.abs(tflite.astype(int) - reference).max() <= 2
    onnx_made = run_onnx(bundle.read("model_int8.onnx"), cells)
    assert np.abs(tflite.astype(int) - onnx_made).max() <= 6
    expected = checkpoint_network(checkpoint).logits(cells)
    confident = np.sort(expected, axis=1)[:, -1] - np.sort(expected, axis=1)[:, -2] > 0.2
    assert confident.mean() > 0.8
    for made in (tflite, onnx_made):
        assert np.array_equal(made.argmax(axis=1)[confident], expected.argmax(axis=1)[confident])
    assert (tflite.argmax(axis=1) == classes).mean() > 0.8


def test_golden_vectors_replay(bundle: Bundle) -> None:
    golden = np.load(io.BytesIO(bundle.read("golden.npz")), allow_pickle=False)
    for i, pcm in enumerate(golden["pcm"]):
        frames = log_mel(pcm, bundle.tables).frames_q9
        window = normalize(frames, bundle.tables)
        assert np.array_equal(frames, golden["frames_q9"][i])
        assert np.array_equal(window.cells, golden["cells"][i])
        assert window.is_silence == golden["is_silence"][i]
    assert golden["is_silence"].tolist() == [False, False, True]
    tflite = run_tflite(bundle.read("model_int8.tflite"), golden["cells"])
    assert np.array_equal(tflite, golden["output_model_int8_tflite"])
    reference = run_tflite(bundle.read("model_int8.tflite"), golden["cells"], reference_kernels=True)
    assert np.array_equal(reference, golden["output_model_int8_tflite_reference"])
    assert np.abs(tflite.astype(int) - reference).max() <= 1
    assert np.array_equal(run_onnx(bundle.read("model_int8.onnx"), golden["cells"]), golden["output_model_int8_onnx"])


def test_model_report_of_a_good_model(exported: ExportResult, bundle: Bundle) -> None:
    tables = json.loads(bundle.read("tensors.json"))
    for name, inspect in (("model_int8.tflite", inspect_tflite), ("model_int8.onnx", inspect_onnx)):
        model_report = inspect(bundle.read(name))
        require_int8(model_report, 80)
        assert model_report == exported.model_reports[name]
        assert json.loads(json.dumps(model_report.to_dict())) == tables[name]
        assert bundle.manifest["model_reports"][name] == model_report.to_summary()
        table = model_report.format_table()
        assert len(table.splitlines()) == len(model_report.tensors) + 3
        assert "float" not in table
        with pytest.raises(ExportError, match="input scale"):
            require_int8(model_report, 79)


def test_model_report_refuses_float_and_dynamic_range(float_model: bytes) -> None:
    from ai_edge_quantizer import quantizer, recipe

    with quiet():
        dynamic = bytes(quantizer.Quantizer(float_model, recipe.dynamic_wi8_afp32()).quantize().quantized_model)
    assert len(dynamic) < 0.4 * len(float_model)  # what many call "the int8 model"
    for model in (float_model, dynamic):
        with pytest.raises(ExportError, match="not pure int8"):
            require_int8(inspect_tflite(model), 80)


def test_model_report_refuses_another_input_scale(float_model: bytes) -> None:
    windows, _ = synthetic_windows(4, seed=4)
    model = int8_tflite(float_model, windows, dataclasses.replace(SPEC, top_db=70))
    require_int8(inspect_tflite(model), 70)
    with pytest.raises(ExportError, match="input scale and zero point"):
        require_int8(inspect_tflite(model), 80)


def test_model_report_refuses_onnx_with_float_inside(bundle: Bundle, tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    with pytest.raises(ExportError, match="float32"):
        require_int8(inspect_onnx(bundle.read("model_float.onnx")), 80)
    model = onnx.load_from_string(bundle.read("model_float.onnx"))
    del model.graph.value_info[:]  # quantize_dynamic transposes weights and trips over their noted shapes
    with quiet():
        quantize_dynamic(model, tmp_path / "dynamic.onnx")
    with pytest.raises(ExportError, match="not pure int8"):
        require_int8(inspect_onnx((tmp_path / "dynamic.onnx").read_bytes()), 80)


def test_model_report_refuses_an_onnx_layer_left_in_float(bundle: Bundle) -> None:
    model = onnx.load_from_string(bundle.read("model_int8.onnx"))
    (mean,) = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    quantize = next(node for node in model.graph.node if mean.output[0] in node.input)
    dequantize_node = next(node for node in model.graph.node if quantize.output[0] in node.input)
    gemm = next(node for node in model.graph.node if dequantize_node.output[0] in node.input)
    gemm.input[0] = mean.output[0]
    with pytest.raises(ExportError, match="not pure int8"):
        require_int8(inspect_onnx(model.SerializeToString()), 80)


@pytest.mark.parametrize("inspect", [inspect_tflite, inspect_onnx])
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"not a model at all, but long enough to look"])
def test_model_report_refuses_garbage(inspect: type, content: bytes) -> None:
    with pytest.raises(ExportError):
        require_int8(inspect(content), 80)


def test_model_report_refuses_another_onnx_input_scale(bundle: Bundle) -> None:
    windows, _ = synthetic_windows(4, seed=4)
    model = int8_onnx(bundle.read("model_float.onnx"), windows, dataclasses.replace(SPEC, top_db=70), {})
    with pytest.raises(ExportError, match="input scale and zero point"):
        require_int8(inspect_onnx(model), 80)


def refused(error: type[EdgeGenreError], words: str, out: Path, checkpoint: Checkpoint, **changes: object) -> None:
    """The export stops before anything is converted (no step begins) and leaves nothing."""
    steps: list[object] = []

    def run() -> None:
        pcm, recipe = changes.pop("golden_pcm", golden_pcm()), changes.pop("recipe", "int8")
        fields: dict[str, Any] = {
            "network": checkpoint_network(checkpoint),
            "tables": TABLES,
            "calibration": calibration(4),
            "golden": golden_inputs(pcm, TABLES),  # type: ignore[arg-type]
            "recipe": find_recipe(str(recipe)),
        }
        export_bundle(ExportJob(**{**fields, **changes}, destination=out, command="pytest"), steps.append)

    with pytest.raises(error, match=words) as caught:
        run()
    assert "\n" not in str(caught.value)
    assert not steps
    assert not list(out.parent.iterdir())


def test_bad_checkpoints_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    nan = {**checkpoint.state, "dense.bias": np.full(256, np.nan, dtype=np.float32)}
    refused(CheckpointError, "NaN", out, dataclasses.replace(checkpoint, state=nan))
    refused(CheckpointError, "3 labels", out, dataclasses.replace(checkpoint, labels=LABELS[:3]))
    refused(SpecError, "front-end", out, checkpoint, tables=released("wide9s"))
    refused(UsageError, "int4", out, checkpoint, recipe="int4")
    refused(UsageError, "needs the training data", out, checkpoint, recipe="prune50_int8")


def test_bad_inputs_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    other = dataclasses.replace(calibration(4), spec_hash="0" * 64)
    refused(SpecError, "calibration", out, checkpoint, calibration=other)
    tracks = dataclasses.replace(reference_tracks(), spec_hash="0" * 64)
    refused(SpecError, "give windows of the model's front-end", out, checkpoint, reference=tracks)
    refused(DataError, "golden", out, checkpoint, golden_pcm=[])
    refused(DataError, "golden", out, checkpoint, golden_pcm=[np.zeros(5, dtype=np.int16)])


def test_foreign_directory_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="not a bundle"):
        export(tmp_path, checkpoint)


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        (np.zeros((0, 128, 128), dtype=np.int8), "empty"),
        (np.full((2, 128, 128), -128, dtype=np.int8), "silent"),
        (np.zeros((2, 128, 128), dtype=np.float32), "int8"),
        (np.zeros((128, 128), dtype=np.int8), "int8"),
        (np.zeros((3, 128, 128), dtype=np.int8), "indices"),
    ],
)
def test_bad_calibration_is_refused(windows: npt.NDArray[np.int8], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Calibration(windows, (0, 1), 0, "nothing", TABLES.spec_hash)


class Unsupported(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft(x).abs().mean(dim=(1, 2))


def test_network_that_does_not_convert_gives_one_line() -> None:
    with pytest.raises(ExportError, match="litert-torch could not convert") as caught:
        float_tflite(Unsupported(), SPEC)
    assert "\n" not in str(caught.value)


def test_export_is_silent(float_model: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    windows, _ = synthetic_windows(4, seed=4)
    run_tflite(int8_tflite(float_model, windows, SPEC), windows)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_exporting_twice_gives_the_same_bytes(checkpoint: Checkpoint, exported: ExportResult, tmp_path: Path) -> None:
    again = export(tmp_path / "bundle", checkpoint)
    for name in (*read_bundle(again.path).manifest["files"], "manifest.json"):
        assert (again.path / name).read_bytes() == (exported.path / name).read_bytes(), name


@pytest.mark.slow
def test_float_recipe(checkpoint: Checkpoint, tmp_path: Path) -> None:
    result = export(tmp_path / "bundle", checkpoint, recipe="float")
    assert set(result.sizes_bytes) == {"model_float.onnx", "model_float.tflite"}
    assert all(a.max_probability_difference < 1e-5 for a in result.agreement.values())
    golden = np.load(io.BytesIO(read_bundle(result.path).read("golden.npz")))
    assert golden["output_model_float_tflite"].dtype == np.float32


def test_bundle_brings_the_c_front_end_and_its_example_reproduces_golden(bundle: Bundle, tmp_path: Path) -> None:
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler")
    for name in bundle.manifest["files"]:
        if name.startswith("c/"):
            (tmp_path / name[2:]).write_bytes(bundle.read(name))
    sources = sorted(str(path) for path in tmp_path.glob("edgegenre_mel*.c"))
    command = [gcc, "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", str(tmp_path / "main.c"), *sources]
    subprocess.run([*command, "-o", str(tmp_path / "mel")], check=True, capture_output=True)
    golden = np.load(io.BytesIO(bundle.read("golden.npz")), allow_pickle=False)
    for pcm, cells, is_silence in zip(golden["pcm"], golden["cells"], golden["is_silence"], strict=True):
        wav = io.BytesIO()
        soundfile.write(wav, pcm, SPEC.sample_rate_hz, format="WAV", subtype="PCM_16")
        done = subprocess.run([tmp_path / "mel"], input=wav.getvalue(), capture_output=True, check=True)
        assert done.stdout == cells.tobytes()
        assert (done.stderr == b"silence\n") is bool(is_silence)
