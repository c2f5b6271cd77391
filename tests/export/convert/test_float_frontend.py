"""Models that take PCM: the float front-end against the integer one, the joined models in their real consumers."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgegenre.data.clips import read_clip
from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_export import inspect_onnx, inspect_tflite
from edgegenre_export.check.int8_check import require_waveform
from edgegenre_export.check.model_answers import run_onnx, run_tflite, run_waveform
from edgegenre_export.convert.float_frontend import FloatFrontend
from edgegenre_export.convert.onnx.from_torch import frontend_onnx
from edgegenre_export.convert.onnx.join import join_onnx
from edgegenre_export.convert.tflite.from_torch import frontend_tflite
from edgegenre_export.convert.tflite.join import join_tflite
from edgegenre_export.convert.tflite.tensor_names import short_names
from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import log_mel, normalize, released
from edgegenre_runtime.inspect.mediapipe_metadata import audio_metadata, read_metadata
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.quantization import dequantize, softmax

MAX_BYTES = 1_200_000
MAX_DIFFERENCE = 0.05
"""Of a probability between a waveform model and the mel path: cells differ by one step here and there."""
TIE = 0.05
"""Two classes closer than this may change places."""


def toy_windows(tables, n):
    styles, spec = sorted(STYLES), tables.spec
    pieces = (render(styles[i % 10], 50 + i, spec.window_s + 0.1, spec.sample_rate_hz) for i in range(n))
    return np.stack([piece[: spec.window_samples] for piece in pieces])


def cells_of(pcm, tables):
    return np.stack([normalize(log_mel(piece, tables).frames_q9, tables).cells for piece in pcm])


def mel_path(name, model, pcm, tables):
    """Probabilities [N, C] of the integer front-end and the int8 model."""
    inspect, run = (inspect_onnx, run_onnx) if name.endswith(".onnx") else (inspect_tflite, run_tflite)
    logits = inspect(model).only("output")
    return softmax(dequantize(run(model, cells_of(pcm, tables)), logits.scale, logits.zero_point))


def check_agreement(made, expected):
    """Compare probabilities [N, C]; returns the largest difference."""
    assert np.abs(made - expected).max() < MAX_DIFFERENCE
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > TIE
    assert clear.mean() > 0.7
    assert np.array_equal(made.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])
    return np.abs(made - expected).max()


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(default_bundle())


@pytest.fixture(scope="module")
def body(bundle):
    return bundle.read("model_int8.tflite")


@pytest.fixture(scope="module")
def audio_tflite(bundle, body):
    front = frontend_tflite(FloatFrontend(bundle.tables, (1, 128, 128, 1)), bundle.tables.spec)
    return join_tflite(front, body, bundle.tables.spec.sample_rate_hz, bundle.labels)


@pytest.fixture(scope="module")
def audio_onnx(bundle, shipped_int8_onnx):
    front = frontend_onnx(FloatFrontend(bundle.tables, (1, 1, 128, 128)), bundle.tables.spec)
    return join_onnx(front, shipped_int8_onnx)


@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_the_float_front_end_is_the_integer_one_within_a_step(name):
    tables = released(name)
    rng = np.random.default_rng(1)
    noise = np.rint(rng.normal(0, 3000, tables.spec.window_samples)).astype(np.int16)
    pcm = np.stack([*toy_windows(tables, 3), noise, noise // 300])
    front = FloatFrontend(tables, (128, 128))
    made = np.stack([front(torch.from_numpy(piece / np.float32(32768))[None]).numpy() for piece in pcm])
    steps = np.rint(made / np.float32(80 / 255)) - 128
    difference = np.abs(steps - cells_of(pcm, tables))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_digital_silence_is_the_floor():
    tables = released("seed3s")
    made = FloatFrontend(tables, (128, 128))(torch.zeros(1, tables.spec.window_samples))
    assert made.max() < 1e-3  # dB; a step is 0.31


def test_a_hop_that_shares_nothing_with_the_frame_is_refused():
    tables = released("seed3s")
    odd = dataclasses.replace(tables, spec=dataclasses.replace(tables.spec, hop_samples=441))
    with pytest.raises(ExportError, match="441 shares 1"):
        FloatFrontend(odd, (128, 128))


def test_tflite_takes_pcm_and_is_small(bundle, audio_tflite):
    with quiet():
        interpreter = Interpreter(model_content=audio_tflite)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["shape"].tolist(), given["dtype"]) == ([1, bundle.tables.spec.window_samples], np.float32)
    assert (made["shape"].tolist(), made["dtype"]) == ([1, len(bundle.labels)], np.float32)
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["waveform"], "outputs": ["probabilities"]}
    }
    assert len(audio_tflite) < MAX_BYTES
    assert not [op for op in inspect_tflite(audio_tflite).ops if op.startswith(("CUSTOM", "STABLEHLO"))]


def test_onnx_takes_pcm_with_standard_operators(bundle, audio_onnx):
    session = onnxruntime.InferenceSession(audio_onnx)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (
        "waveform",
        "tensor(float)",
        [1, bundle.tables.spec.window_samples],
    )
    assert (made.name, made.type, made.shape) == ("probabilities", "tensor(float)", [1, len(bundle.labels)])
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["sample_rate_hz"] == "22050"
    assert properties["labels"].split("\n") == list(bundle.labels)
    assert {node.domain for node in onnx.load_from_string(audio_onnx).graph.node} == {""}
    assert str(Path(__file__).parents[3]).encode() not in audio_onnx


@pytest.mark.parametrize("name", ["model_audio.tflite", "model_audio.onnx"])
def test_they_answer_as_the_mel_path(name, bundle, body, shipped_int8_onnx, request):
    model = request.getfixturevalue(name[6:].replace(".", "_"))
    network = shipped_int8_onnx if name.endswith(".onnx") else body
    pcm = toy_windows(bundle.tables, 20)
    made = run_waveform(name, model, pcm)
    check_agreement(made, mel_path(name, network, pcm, bundle.tables))
    assert made.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_its_body_is_the_int8_model_bit_for_bit(body, bundle, audio_tflite):
    with quiet():
        whole = Interpreter(model_content=audio_tflite, experimental_preserve_all_tensors=True)
        whole.allocate_tensors()
    index = {tensor["name"]: tensor["index"] for tensor in whole.get_tensor_details()}
    ends = [inspect_tflite(body).only(role).name for role in ("input", "output")]
    for pcm in toy_windows(bundle.tables, 3):
        whole.set_tensor(index["waveform"], (pcm / np.float32(32768))[None])
        whole.invoke()
        cells, logits = (whole.get_tensor(index[name]) for name in ends)
        assert cells.dtype == logits.dtype == np.int8
        assert np.array_equal(run_tflite(body, cells[..., 0]), logits)


def test_the_model_report_shows_what_is_int8(body, audio_tflite, audio_onnx, shipped_int8_onnx):
    model_report = inspect_tflite(audio_tflite)
    require_waveform(model_report, inspect_tflite(body))
    require_waveform(inspect_onnx(audio_onnx), inspect_onnx(shipped_int8_onnx))
    layers = inspect_tflite(body)
    assert model_report.n_macs > layers.n_macs
    dtypes = {tensor.name: tensor.dtype for tensor in model_report.tensors}
    assert dtypes["db_above_floor"] == dtypes["logits_float"] == "float32"
    assert all(dtypes[tensor.name] == tensor.dtype for tensor in layers.tensors)
    assert re.search(r"activation float32 +1×128×128×1 +db_above_floor", model_report.format_table())


def test_a_body_that_is_not_the_int8_model_is_refused(body, audio_tflite):
    layers = inspect_tflite(body)
    whole = inspect_tflite(audio_tflite)
    with pytest.raises(ExportError, match="does not end in"):
        require_waveform(dataclasses.replace(whole, ops=whole.ops[:-1]), layers)
    position = next(i for i, tensor in enumerate(whole.tensors) if tensor.name == layers.only("output").name)
    rescaled = dataclasses.replace(whole.tensors[position], scale=0.5)
    changed = (*whole.tensors[:position], rescaled, *whole.tensors[position + 1 :])
    with pytest.raises(ExportError, match="not in the waveform model as it was"):
        require_waveform(dataclasses.replace(whole, tensors=changed), layers)
    with pytest.raises(ExportError, match="does not end in"):
        require_waveform(layers, layers)


def test_models_that_do_not_fit_are_not_joined(body, audio_tflite):
    with pytest.raises(ExportError, match="front-end produces a window"):
        join_tflite(audio_tflite, body, 22050, ("a",))


def test_constants_lie_at_multiples_of_16_bytes(body, audio_tflite):
    for model in (audio_tflite, short_names(body)):
        content = schema.Model.GetRootAs(model, 0)
        buffers = [content.Buffers(i) for i in range(content.BuffersLength())]
        starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
        assert len(starts) > 10
        assert not any(start % 16 for start in starts)
    cells = np.random.default_rng(0).integers(-128, 128, (2, 128, 128)).astype(np.int8)
    assert np.array_equal(run_tflite(short_names(body), cells), run_tflite(body, cells))


def test_metadata_reads_back_here_and_by_mediapipes_schema(bundle, audio_tflite, body):
    metadata = read_metadata(audio_tflite)
    assert (metadata.sample_rate_hz, metadata.channels, metadata.labels) == (22050, 1, bundle.labels)
    assert read_metadata(body) is None
    parser = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")
    parsed = parser.ModelMetadataT.InitFromPackedBuf(audio_metadata(16000), 0)
    (graph,) = parsed.subgraphMetadata
    (given,), (made,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert given.content.contentProperties.sampleRate == 16000
    assert given.content.contentProperties.channels == 1
    assert made.associatedFiles[0].name == b"labels.txt"
    assert made.associatedFiles[0].type == parser.AssociatedFileType.TENSOR_AXIS_LABELS


def test_damaged_metadata_gives_one_line(audio_tflite):
    content = schema.ModelT.InitFromPackedBuf(audio_tflite, 0)
    where = audio_tflite.index(b"M001") - 4
    assert content.metadata[0].name == b"TFLITE_METADATA"
    broken = audio_tflite[:where] + b"\xff\xff\xff\x7f" + audio_tflite[where + 4 :]
    with pytest.raises(ExportError, match="metadata"):
        read_metadata(broken)


def classify(model, pcm, labels):
    """Probabilities [N, C] in the labels' order, and the category names, of MediaPipe's AudioClassifier."""
    audio = pytest.importorskip("mediapipe.tasks.python.audio", reason="needs mediapipe, libegl1 and libgles2")
    from mediapipe.tasks.python.components.containers import AudioData
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options = audio.AudioClassifierOptions(base_options=BaseOptions(model_asset_buffer=model))
    with quiet(), audio.AudioClassifier.create_from_options(options) as classifier:
        answers = classifier.classify(AudioData.create_from_array(pcm / np.float32(32768), 22050))
    rows = []
    for answer in answers:
        scores = {item.category_name: item.score for item in answer.classifications[0].categories}
        assert set(scores) == set(labels)
        rows.append([scores[label] for label in labels])
    return np.array(rows)


def test_mediapipe_loads_it_and_answers_as_the_mel_path(bundle, body, audio_tflite):
    pcm = toy_windows(bundle.tables, 3)
    made = classify(audio_tflite, pcm.reshape(-1), bundle.labels)[: len(pcm)]
    check_agreement(made, mel_path("model_int8.tflite", body, pcm, bundle.tables))


@pytest.mark.shared
def test_mediapipe_on_real_clips(bundle, body, audio_tflite, shared_dir):
    n, made, expected = bundle.tables.spec.window_samples, [], []
    for clip in sorted((shared_dir / "data" / "gtzan" / "clips").glob("*.flac")):
        pcm = read_clip(clip, 22050).pcm
        whole = pcm[: len(pcm) // n * n]
        expected.append(mel_path("model_int8.tflite", body, whole.reshape(-1, n), bundle.tables))
        made.append(classify(audio_tflite, whole, bundle.labels)[: len(expected[-1])])
    made, expected = np.concatenate(made), np.concatenate(expected)
    assert len(made) >= 30
    largest = check_agreement(made, expected)
    print(f"largest probability difference on {len(made)} windows: {largest:.4f}")


def test_waveform_models_of_several_labels_end_in_sigmoids(bundle, body, audio_tflite, shipped_int8_onnx):
    spec = bundle.tables.spec
    front = frontend_tflite(FloatFrontend(bundle.tables, (1, 128, 128, 1)), spec)
    other = frontend_onnx(FloatFrontend(bundle.tables, (1, 1, 128, 128)), spec)
    tflite = join_tflite(front, body, spec.sample_rate_hz, bundle.labels, "multi")
    onnx_model = join_onnx(other, shipped_int8_onnx, "multi")
    require_waveform(inspect_tflite(tflite), inspect_tflite(body), "multi")
    require_waveform(inspect_onnx(onnx_model), inspect_onnx(shipped_int8_onnx), "multi")
    with pytest.raises(ExportError, match="does not end in the operators"):
        require_waveform(inspect_tflite(tflite), inspect_tflite(body), "single")
    pcm = np.stack([render(style, 3, spec.window_s + 0.1)[: spec.window_samples] for style in ("disco", "jazz")])
    single, multi = (run_tflite(model, pcm / np.float32(32768)) for model in (audio_tflite, tflite))
    odds = multi / (1 - multi)  # a sigmoid's odds are a softmax's weights
    assert odds / odds.sum(axis=1, keepdims=True) == pytest.approx(single, abs=1e-3)
