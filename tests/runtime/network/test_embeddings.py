"""Embeddings: the same bits from every executor, by Python and on the command line, refused where there are none."""

import json

import numpy as np
import pytest
import soundfile
from json_records import valid_records
from onnx_bundle import write_onnx_bundle
from tflite_maker import random_network

from edgegenre.toy.dataset import render
from edgegenre_export.convert.tflite.embedding_output import with_embedding
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import AudioError, BundleError, ExportError
from edgegenre_runtime.frontend import log_mel, normalize
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.bundle_names import default_bundle
from edgegenre_runtime.network.compiler import compile_network, read_header, read_network
from edgegenre_runtime.network.engine import Engine
from edgegenre_runtime.network.interpreters import OnnxModel, TfliteModel
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.reference import Reference
from edgegenre_runtime.network.verify import verify
from edgegenre_runtime.outputs.records import result_record
from edgegenre_runtime.run import main


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="module")
def pcm():
    return render("disco", 1, 30.0)


@pytest.fixture(scope="module")
def song(tmp_path_factory, pcm):
    path = tmp_path_factory.mktemp("song") / "disco.wav"
    soundfile.write(path, pcm, 22050, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def old_bundle(tmp_path_factory):
    """The shipped bundle as it was before networks gave embeddings: one output."""
    shipped, schema = read_bundle(default_bundle()), pytest.importorskip("ai_edge_litert.schema_py_generated")
    from edgegenre_export.model_files import pack_tflite

    tree = schema.ModelT.InitFromPackedBuf(shipped.read("model_int8.tflite"), 0)
    tree.subgraphs[0].outputs = tree.subgraphs[0].outputs[:1]
    for signature in tree.signatureDefs:
        signature.outputs = signature.outputs[:1]
    model = pack_tflite(tree)
    files = {"model_int8.tflite": model, "net.eg": compile_network(model)}
    out = tmp_path_factory.mktemp("old") / "old.bundle"
    return write_bundle(out, files, tables=shipped.tables, labels=shipped.labels, about={})


def windows(pcm, tables):
    frames = log_mel(pcm, tables).frames_q9
    width = tables.spec.frames_per_window
    return [normalize(frames[:, at : at + width], tables) for at in range(0, frames.shape[1] - width + 1, width // 2)]


def test_engine_reference_and_litert_give_the_same_bits(classifier, pcm):
    model = classifier.bundle.read("model_int8.tflite")
    engine, reference, litert = Engine(classifier.bundle.read("net.eg")), Reference(model), TfliteModel(model)
    rng = np.random.default_rng(0)
    cells = [window.cells for window in windows(pcm, classifier.tables)]
    cells += [rng.integers(-128, 128, (128, 128)).astype(np.int8) for _ in range(4)]
    assert engine.embedding_dims == reference.embedding_dims == 512
    assert engine.embedding_quantization == reference.embedding_quantization
    assert litert.embedding.shape == (1, 512)
    assert (litert.embedding.scale, litert.embedding.zero_point) == engine.embedding_quantization
    for window in cells:
        logits, embedding = engine.run_both(window)
        for others in (reference.run_both(window), litert.run_both(window.reshape(litert.input.shape))):
            assert np.array_equal(logits, others[0].reshape(-1))
            assert np.array_equal(embedding, others[1].reshape(-1))
        assert np.array_equal(logits, engine.run(window))


def test_random_networks_give_the_same_embeddings_and_the_logits_that_they_gave_before():
    n_compared = 0
    for seed in range(30):
        model, shape = random_network(seed)
        given = with_embedding(model)
        try:
            engine, plain = Engine(compile_network(given)), Engine(compile_network(model))
        except ExportError:
            continue
        if not engine.embedding_dims:
            continue
        reference, cells = Reference(given), np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
        found = engine.run_both(cells)
        for one, other in zip(found, reference.run_both(cells), strict=True):
            assert np.array_equal(one, other), f"network {seed}"
        assert np.array_equal(found[0], plain.run(cells))
        n_compared += 1
    assert n_compared >= 10


def test_onnxruntime_gives_an_embedding_close_to_litert_s(tmp_path, classifier, pcm):
    pytest.importorskip("onnxruntime")
    onnx = OnnxModel(read_bundle(write_onnx_bundle(tmp_path / "b")).read("model_int8.onnx"))
    for window in windows(pcm, classifier.tables):
        logits, embedding = onnx.run_both(window.cells.reshape(onnx.input.shape))
        assert np.array_equal(logits, onnx.run(window.cells.reshape(onnx.input.shape)))
        mine = classifier.answer(window.cells)[1]
        theirs = dequantize(embedding[0], onnx.embedding.scale, onnx.embedding.zero_point)
        assert mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs) > 0.99


def test_a_file_an_array_and_a_stream_give_the_same_embeddings(classifier, pcm, song):
    from_array = classifier.embed(pcm)
    assert from_array.dtype == np.float32
    assert from_array.shape == (len(windows(pcm, classifier.tables)), 512)
    assert np.array_equal(from_array, classifier.embed(song))
    assert np.array_equal(from_array, classifier.embed(str(song)))
    assert np.array_equal(from_array, classifier.embed(iter(np.array_split(pcm, 77))))
    probabilities, last = classifier.answer(windows(pcm, classifier.tables)[-1].cells)
    assert np.array_equal(last, from_array[-1])
    assert np.array_equal(probabilities, classifier.probabilities(windows(pcm, classifier.tables)[-1].cells))


def test_the_last_layer_takes_the_embedding(classifier, pcm):
    """What the dense layer makes of the embedding are the logits, to the step that they are rounded to."""
    graph = read_network(classifier.bundle.read("model_int8.tflite"))
    layer = [operator for operator in graph.operators if operator.name == "CONV_2D"][-1]
    kernel, bias = (graph.tensors[i] for i in layer.inputs[1:3])
    weights = kernel.constant.reshape(len(kernel.scales), -1) * kernel.scales[:, None]
    scale, zero_point = classifier.backend.embedding_quantization
    for window in windows(pcm, classifier.tables):
        logits, embedding = classifier.backend.run_both(window.cells)
        real = weights @ dequantize(embedding, scale, zero_point) + bias.constant * kernel.scales * scale
        made = dequantize(logits, *classifier.backend.output_quantization)
        assert np.abs(real - made).max() <= 0.51 * classifier.backend.output_quantization[0]


def test_silence_has_no_embedding(classifier):
    assert classifier.embed(np.zeros(22050 * 20, np.int16)).shape == (0, 512)
    with pytest.raises(AudioError, match="too short"):
        classifier.embed(np.zeros(100, np.int16))


def test_json_lines_hold_the_embedding_that_python_gives(capsys, classifier, song):
    assert main(["--json", "--embeddings", str(song)]) == 0
    records = valid_records(capsys.readouterr().out.splitlines())
    found = np.array([record["embedding"] for record in records])
    assert found == pytest.approx(classifier.embed(song), abs=1e-5)
    assert main(["--json", str(song)]) == 0
    assert all("embedding" not in json.loads(line) for line in capsys.readouterr().out.splitlines())


def test_listening_embeds_the_window_of_the_answer(classifier, pcm):
    analyzer = Analyzer(classifier, embeddings=True)
    block = AudioBlock((pcm[: 22050 * 12].astype(np.float32) / 32768)[:, None], 22050, 0, 0.0)
    answers = list(analyzer.process(block))
    assert answers
    for answer in answers:
        assert np.array_equal(answer.embedding, classifier.answer(answer.cells)[1])
        assert "embedding" not in result_record(answer, "-")
        assert len(result_record(answer, "-", embedding=True)["embedding"]) == 512
    assert next(Analyzer(classifier).process(block)).embedding is None


def test_embeddings_need_json(capsys, song):
    assert main(["--embeddings", str(song)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["--embeddings", "--doctor"]) == 2
    assert "--embeddings has no effect" in capsys.readouterr().err


def test_a_bundle_without_embeddings_says_to_export_it_anew(capsys, old_bundle, song):
    assert main(["--bundle", str(old_bundle), "--json", "--embeddings", str(song)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "export it anew" in err
    assert main(["--bundle", str(old_bundle), str(song)]) == 0
    old = GenreClassifier.load(old_bundle)
    for call in (lambda: old.embed(song), lambda: old.answer(np.zeros((128, 128), np.int8))):
        with pytest.raises(BundleError, match="no embedding"):
            call()
    assert read_header(old.bundle.read("net.eg")).embedding_dims == 0


def test_verify_replays_the_embedding(tmp_path):
    shipped = read_bundle(default_bundle())
    checks = {check.what: check for check in verify(default_bundle())}
    assert checks["network, c"].is_ok
    assert checks["model_int8.tflite, embedding"].is_ok
    from edgegenre_runtime.network.golden import GOLDEN, pack_golden, read_golden

    golden = read_golden(shipped)
    golden["embedding_net_eg"] = golden["embedding_net_eg"] + np.int8(1)
    golden["embedding_model_int8_tflite"] = golden["embedding_model_int8_tflite"] + np.int8(2)
    made_anew = ("files", "format_version", "frontend.json", "labels.txt", "manifest.json", "labels", "spec_hash")
    files = {name: shipped.read(name) for name in shipped.manifest["files"] if name not in made_anew}
    about = {key: value for key, value in shipped.manifest.items() if key not in made_anew}
    changed = write_bundle(
        tmp_path / "b",
        {**files, GOLDEN: pack_golden(golden)},
        tables=shipped.tables,
        labels=shipped.labels,
        about=about,
    )
    checks = {check.what: check for check in verify(changed)}
    assert not any(checks[what].is_ok for what in ("network, c", "network, numpy", "model_int8.tflite, embedding"))
