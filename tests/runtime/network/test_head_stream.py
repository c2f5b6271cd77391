"""A bundle with a head over windows: files and streams, the state on disk, verify and inspect, and what is refused."""

import io
import json

import numpy as np
import pytest
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.inspect.bundle_summary import describe_bundle
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.bundle_names import default_bundle
from edgegenre_runtime.network.golden import GOLDEN, embedding_key, pack_golden, read_golden
from edgegenre_runtime.network.head import HEADS, Head, HeadConfig, read_head
from edgegenre_runtime.network.head.bundle_head import pack_head
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.verify import verify
from edgegenre_runtime.run import main

SIZES = {"mean": (0, 0), "attention": (8, 0), "gru": (8, 0), "transformer": (8, 6)}


def write(out, kind="gru", seed=0, golden_shift=0.0, **changes):
    """Write the shipped bundle's network with a head of random weights."""
    shipped = read_bundle(default_bundle())
    config = HeadConfig(
        kind, **{"embedding_size": 512, "n_classes": 10, "width": SIZES[kind][0], **changes}, memory=SIZES[kind][1]
    )
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in config.weights.items()}
    files = {name: shipped.read(name) for name in ("model_int8.tflite", "net.eg")}
    golden = read_golden(shipped)
    if config.embedding_size == 512:
        quantization = GenreClassifier.load().backend.embedding_quantization
        embeddings = dequantize(golden[embedding_key("model_int8.tflite")], *quantization)
        logits = Head(config, weights).run(embeddings) + np.float32(golden_shift)
        golden |= {"head_embeddings": embeddings, "head_logits": logits}
    files |= {GOLDEN: pack_golden(golden), **pack_head(config, weights, 64, {})}
    labels = shipped.labels if config.n_classes == 10 else shipped.labels[: config.n_classes]
    return write_bundle(out, files, tables=shipped.tables, labels=labels, about={})


@pytest.fixture(scope="module", params=HEADS)
def bundle(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp("bundle") / request.param, request.param)


@pytest.fixture(scope="module")
def gru(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bundle") / "gru")


@pytest.fixture(scope="module")
def pcm():
    return np.concatenate([render("disco", 1, 20.0), render("jazz", 2, 20.0)])


@pytest.fixture(scope="module")
def song(tmp_path_factory, pcm):
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, pcm, 22050, subtype="PCM_16")
    return path


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_a_file_and_a_stream_of_any_pieces_give_the_same_answers(bundle, song, pcm):
    classifier = GenreClassifier.load(bundle)
    whole = classifier.predict_file(song)
    pieces = list(classifier.stream(np.array_split(pcm, 997)))
    assert len(whole.windows) == len(pieces) > 5
    assert [one.probabilities for one in whole.windows] == [one.probabilities for one in pieces]
    assert whole.probabilities == pieces[-1].probabilities
    vectors = classifier.embed(song)
    logits = classifier.head.head.run(vectors)
    best = [max(one.probabilities, key=one.probabilities.get) for one in pieces]
    assert best == [classifier.labels[i] for i in logits.argmax(axis=1)]
    assert len({tuple(one.probabilities.values()) for one in pieces}) == len(pieces)


def test_every_window_is_answered_as_in_a_file_however_often_is_asked(bundle, pcm):
    classifier = GenreClassifier.load(bundle)
    vectors = classifier.embed(pcm)
    hop_s = classifier.head_stream().hop_s
    stream, expected = classifier.head_stream(), classifier.head.head.run(vectors)
    rng = np.random.default_rng(0)
    for i, vector in enumerate(vectors):
        for share in (0.3, 0.7) if i else ():
            stream.push(rng.normal(size=512).astype(np.float32), (i - 1 + share) * hop_s)  # between: leaves no trace
        assert np.array_equal(stream.push(vector, i * hop_s), expected[i])


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_listening_answers_as_the_file_does(tmp_path, pcm, kind):
    classifier = GenreClassifier.load(write(tmp_path / "b", kind))
    spec = classifier.tables.spec
    analyzer = Analyzer(classifier, every_s=64 * spec.hop_samples / spec.sample_rate_hz, smooth_s=0)
    block = AudioBlock((pcm[:, None] / np.float32(32768)).astype(np.float32), spec.sample_rate_hz, 0, 0.0)
    live = [result for result in analyzer.process(block) if not result.is_repeated]
    filed = list(classifier.stream([pcm]))
    assert len(live) == len(filed)
    for one, other in zip(live, filed, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_sums_over_windows_forget_where_they_are_told_to(tmp_path):
    classifier = GenreClassifier.load(write(tmp_path / "b", "mean"))
    stream, rng = classifier.head_stream(memory_s=10.0), np.random.default_rng(0)
    old, new = rng.normal(size=(2, 512)).astype(np.float32)
    for i in range(400):
        stream.push(old, i * stream.hop_s)
    for i in range(400, 520):
        logits = stream.push(new, i * stream.hop_s)
    assert logits == pytest.approx(classifier.head.head.run(new[None])[0], abs=1e-3)


def test_a_stream_goes_on_in_the_next_file_from_the_state_on_disk(capsys, bundle, tmp_path, pcm):
    paths, state = [], tmp_path / "song.state"
    for i, part in enumerate(np.split(pcm, 2)):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], part, 22050, subtype="PCM_16")
    found = []
    for path in paths:
        code, printed = run(capsys, "--bundle", bundle, "--state", state, "--json", path)
        assert code == 0, printed.err
        found += [json.loads(line)["probabilities"] for line in printed.out.splitlines()]
    classifier = GenreClassifier.load(bundle)
    vectors = np.concatenate([classifier.embed(path) for path in paths])
    logits = classifier.head.head.run(vectors)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.array([list(one.values()) for one in found]) == pytest.approx(expected, abs=1e-3)


def test_two_inputs_are_two_streams_without_a_state_and_one_with_it(capsys, gru, tmp_path, song):
    _, apart = run(capsys, "--bundle", gru, "--json", song, song)
    _, joined = run(capsys, "--bundle", gru, "--json", "--state", tmp_path / "s", song, song)
    apart, joined = ([json.loads(line)["probabilities"] for line in one.out.splitlines()] for one in (apart, joined))
    half = len(apart) // 2
    assert apart[:half] == apart[half:] == joined[:half]
    assert joined[half] != apart[half]


def test_an_input_that_fails_leaves_the_state_as_it_was(capsys, gru, tmp_path, song):
    state = tmp_path / "s"
    run(capsys, "--bundle", gru, "--state", state, song)
    before = state.read_bytes()
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    code, _ = run(capsys, "--bundle", gru, "--state", state, tmp_path / "broken.wav")
    assert code == 2
    assert state.read_bytes() == before


def refused(capsys, *arguments):
    code, printed = run(capsys, *arguments)
    assert (code, printed.err.count("\n"), printed.out) == (2, 1, "")
    return printed.err


def test_a_state_of_another_bundle_is_refused_and_stays(capsys, gru, tmp_path, song):
    state = tmp_path / "s"
    run(capsys, "--bundle", write(tmp_path / "other", seed=1), "--state", state, song)
    before = state.read_bytes()
    assert "is the state of another bundle" in refused(capsys, "--bundle", gru, "--state", state, song)
    assert state.read_bytes() == before


def test_a_damaged_state_is_refused_and_stays(capsys, gru, tmp_path, song):
    state = tmp_path / "s"
    run(capsys, "--bundle", gru, "--state", state, song)
    whole = state.read_bytes()
    arrays = dict(np.load(io.BytesIO(whole)))
    wrong = io.BytesIO()
    np.savez(wrong, **{**arrays, "state_hidden": arrays["state_hidden"][:3]})
    for content in (b"", b"no state", whole[:200], wrong.getvalue()):
        state.write_bytes(content)
        assert "is no state of a stream, or damaged" in refused(capsys, "--bundle", gru, "--state", state, song)
        assert state.read_bytes() == content


def test_a_state_is_refused_where_there_is_no_head_or_no_file(capsys, gru, tmp_path, song):
    assert "--state is for a bundle with a head" in refused(capsys, "--state", tmp_path / "s", song)
    assert "--state has no effect" in refused(capsys, "--bundle", gru, "--mic", "--state", tmp_path / "s")


def test_verify_replays_the_head_and_sees_other_answers(bundle, tmp_path):
    checks = {check.what: check for check in verify(bundle)}
    assert checks["head, numpy"].is_ok
    wrong = {check.what: check for check in verify(write(tmp_path / "wrong", golden_shift=0.1))}
    assert not wrong["head, numpy"].is_ok


def test_inspect_says_what_the_head_is(gru):
    text = describe_bundle(read_bundle(gru))
    assert "head over windows: gru, embeddings of 512, every 64 frames, a state of 8 floats" in text
    assert "head.npz" in text


def test_a_head_of_another_embedding_size_or_other_classes_is_refused(tmp_path):
    with pytest.raises(BundleError, match="takes embeddings of 5 values, the network gives 512"):
        GenreClassifier.load(write(tmp_path / "size", embedding_size=5))
    shipped = read_bundle(default_bundle())
    config = HeadConfig("mean", 512, 3, 0, 0)
    weights = {name: np.zeros(shape, np.float32) for name, shape in config.weights.items()}
    files = {name: shipped.read(name) for name in ("model_int8.tflite", "net.eg")}
    wrong = {**files, **pack_head(config, weights, 64, {})}
    out = write_bundle(tmp_path / "classes", wrong, tables=shipped.tables, labels=shipped.labels, about={})
    with pytest.raises(BundleError, match=r"head.json.*3 classes for 10 labels"):
        read_head(read_bundle(out))
    for content in (b"{}", b"[]", b"no JSON", wrong["head.json"].replace(b"mean", b"lstm")):
        out = write_bundle(
            tmp_path / "classes",
            {**wrong, "head.json": content},
            tables=shipped.tables,
            labels=shipped.labels,
            about={},
        )
        with pytest.raises(BundleError, match=r"its head \(head.json\) cannot be used"):
            read_head(read_bundle(out))
