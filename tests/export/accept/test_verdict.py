"""The gate: it lets a sound export pass, and fails one that was damaged on purpose."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import textures
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper
from verdicts import made_up, refused_report

from edgegenre.data.feature_cache import load_cache
from edgegenre_export import GateReport, GateSet, Limits
from edgegenre_export.accept.acceptance_run import run_gate
from edgegenre_export.accept.reference_data import cache_gate_set, toy_gate_set, toy_pcm
from edgegenre_export.accept.report import advice
from edgegenre_export.accept.verdict import judge, judge_tuning
from edgegenre_export.check import layer_error as layers
from edgegenre_export.check.layer_error import attribute
from edgegenre_export.convert.artifacts import inspect_artifacts
from edgegenre_export.convert.join_models import pack_tflite
from edgegenre_export.job import checkpoint_subject
from edgegenre_export.package.publish import publish, rejected_path
from edgegenre_runtime.errors import DataError, GateError, UsageError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import Bundle, read_bundle

SPEC = textures.TABLES.spec


@pytest.fixture(scope="module")
def bundle(textures_export) -> Bundle:
    return read_bundle(textures_export.path)


@pytest.fixture(scope="module")
def tracks() -> GateSet:
    return textures.gate_set()


def gate(checkpoint, models: dict[str, bytes], tracks: GateSet) -> GateReport:
    return run_gate(
        checkpoint_subject(checkpoint), None, textures.TABLES, models, inspect_artifacts(models, 80),
        textures.calibration(),
        tracks, lambda line: None,
    )  # fmt: skip


def edited(model: bytes, change) -> bytes:
    """A .tflite after ``change`` of its flatbuffer's content."""
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    change(content)
    return pack_tflite(content)


def weights_of(content, n_outputs: int):
    """Tensor and buffer of the last int8 constant with ``n_outputs`` rows."""
    graph = content.subgraphs[0]
    found = [
        (tensor, content.buffers[tensor.buffer])
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8
        and content.buffers[tensor.buffer].data is not None
        and tensor.shape[0] == n_outputs
    ]
    return found[-1]


def test_a_sound_export_passes_and_says_so(textures_export, bundle) -> None:
    report = textures_export.gate
    assert report.faults == ()
    assert {v.artifact for v in report.verdicts} == set(textures_export.model_reports)
    for verdict in report.verdicts:
        assert verdict.agreement >= 0.97
        assert 0.99 < verdict.cosine <= 1
        if not verdict.artifact.startswith("model_audio"):
            assert verdict.accuracy_before == verdict.accuracy_now + (verdict.lost - verdict.gained) / verdict.n_tracks
    assert bundle.manifest["gate"]["status"] == "passed"
    assert bundle.manifest["gate"]["digest"] == textures.gate_set().digest()
    assert "Passed." in bundle.read("card.md").decode()


def test_a_rescaled_layer_is_refused(textures_checkpoint, bundle, tracks) -> None:
    model = onnx.load_from_string(bundle.read("model_int8.onnx"))
    scales = [item for item in model.graph.initializer if item.name.endswith("weight_scale")]
    scales = scales or [item for item in model.graph.initializer if "scale" in item.name and len(item.dims) == 1]
    victim = scales[1]
    victim.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(victim) * 3).astype(np.float32), victim.name))
    report = gate(textures_checkpoint, {"model_int8.onnx": model.SerializeToString()}, tracks)
    assert any("tracks differently" in fault for fault in report.faults)
    assert report.layers is not None
    assert {group.name for group in report.layers.groups} == {"blocks.0", "blocks.4", "blocks.8", "dense", "head"}
    assert "the conversion is at fault" in " ".join(advice(report))


def test_swapped_labels_are_refused(textures_checkpoint, bundle, tracks) -> None:
    """Two rows of the head change places, scales and biases too: the answers are right, under each other's names."""

    def swap(content) -> None:
        tensor, buffer = weights_of(content, len(textures.LABELS))
        rows = np.array(buffer.data, dtype=np.uint8).reshape(len(textures.LABELS), -1)
        buffer.data = rows[[1, 0, 2, 3]].reshape(-1)
        tensor.quantization.scale = np.array(tensor.quantization.scale)[[1, 0, 2, 3]]
        graph = content.subgraphs[0]
        for operator in graph.operators:
            if len(operator.inputs) == 3 and graph.tensors[operator.inputs[1]] is tensor:
                bias = graph.tensors[operator.inputs[2]]
                values = np.frombuffer(bytes(content.buffers[bias.buffer].data), np.int32)[[1, 0, 2, 3]]
                content.buffers[bias.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
                bias.quantization.scale = np.array(bias.quantization.scale)[[1, 0, 2, 3]]

    report = gate(textures_checkpoint, {"model_int8.tflite": edited(bundle.read("model_int8.tflite"), swap)}, tracks)
    (verdict,) = report.verdicts
    changed = [(track.before, track.now) for track in verdict.changed]
    assert {("sine", "comb"), ("comb", "sine")} <= set(changed)
    assert verdict.lost is not None
    assert verdict.lost >= 15


def test_labels_carried_in_another_order_are_refused(textures_checkpoint, bundle, tracks) -> None:
    model = onnx.load_from_string(bundle.read("model_int8.onnx"))
    (labels,) = [item for item in model.metadata_props if item.key == "labels"]
    labels.value = "\n".join(reversed(textures.LABELS))
    report = gate(textures_checkpoint, {"model_int8.onnx": model.SerializeToString()}, tracks)
    assert report.faults == (
        "model_int8.onnx: carries the labels pulse, hiss, comb, sine; the network's are sine, comb, hiss, pulse",
    )


def test_a_truncating_cast_is_refused(textures_checkpoint, bundle, tracks) -> None:
    """Biases that went through int16 on their way: the high bits are gone."""

    def truncate(content) -> None:
        graph = content.subgraphs[0]
        for operator in graph.operators:
            if len(operator.inputs) == 3 and graph.tensors[operator.inputs[2]].type == schema.TensorType.INT32:
                buffer = content.buffers[graph.tensors[operator.inputs[2]].buffer]
                values = np.frombuffer(bytes(buffer.data), np.int32).astype(np.int16).astype(np.int32)
                buffer.data = np.frombuffer(values.tobytes(), np.uint8)

    report = gate(
        textures_checkpoint, {"model_int8.tflite": edited(bundle.read("model_int8.tflite"), truncate)}, tracks
    )
    assert any("tracks differently" in fault for fault in report.faults)


@pytest.mark.parametrize(
    ("n", "allowed_changed", "allowed_lost"), [(10, 1, 1), (290, 2, 1), (580, 5, 2), (1000, 10, 3)]
)
def test_limits_grow_with_the_tracks(n: int, allowed_changed: int, allowed_lost: int) -> None:
    limits = Limits()
    assert (limits.allowed_changed(n), limits.allowed_lost(n)) == (allowed_changed, allowed_lost)
    for flipped, n_faults in ((allowed_changed, 0), (allowed_changed + 1, 1)):
        tracks, before, now = made_up(n, flipped, truth=False)
        verdict = judge("a", "b", before, now, tracks, ("x", "y"), limits)
        assert len(verdict.faults) == n_faults
        assert [track.name for track in verdict.changed] == [f"t{i:03}" for i in range(flipped)]
    tracks, before, now = made_up(n, allowed_lost + 1)
    assert f"loses {allowed_lost + 1} tracks net" in judge("a", "b", before, now, tracks, ("x", "y"), limits).faults[-1]


def test_gained_tracks_make_up_for_lost_ones() -> None:
    tracks, before, now = made_up(290, 2)
    tracks = dataclasses.replace(tracks, truth=np.array([0, 1] + [0] * 288))
    verdict = judge("a", "b", before, now, tracks, ("x", "y"), Limits())
    assert (verdict.lost, verdict.gained, verdict.faults) == (1, 1, ())


def test_tuning_is_judged_by_accuracy() -> None:
    tracks, before, now = made_up(100, 2)
    assert judge_tuning("pruned", before, now, tracks, ("x", "y"), Limits()).faults == ()
    tracks, before, now = made_up(100, 3)
    assert "3.0 points" in judge_tuning("pruned", before, now, tracks, ("x", "y"), Limits()).faults[0]


def test_nan_is_a_fault() -> None:
    tracks, before, now = made_up(10, 0)
    now[3] = np.nan
    assert "answers NaN or infinity" in judge("a", "b", before, now, tracks, ("x", "y"), Limits()).faults


def test_a_rejected_bundle_is_kept_beside_and_the_old_one_stays(bundle, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    arguments = {"tables": textures.TABLES, "labels": textures.LABELS, "about": {}, "command": "pytest"}
    publish(out, {"model_int8.tflite": b"old"}, report=None, **arguments)
    with pytest.raises(GateError, match=r"9 of 290 tracks.*try: .*mine\.rejected with report\.md") as caught:
        publish(out, {"model_int8.tflite": b"new"}, report=refused_report(), **arguments)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert read_bundle(out).read("model_int8.tflite") == b"old"
    kept = read_bundle(rejected_path(out))
    assert kept.read("model_int8.tflite") == b"new"
    report = json.loads(kept.read("report.json"))
    assert report["status"] == "rejected"
    assert [track["name"] for track in report["verdicts"][0]["changed"]] == [f"t{i:03}" for i in range(9)]
    assert "| model_int8.tflite | t000 | x | x | y |" in kept.read("report.md").decode()


def test_layers_are_told_apart_by_what_their_rounding_costs(textures_checkpoint, monkeypatch) -> None:
    """A layer whose weights differ in size by a thousand within a channel loses most of them to nearest rounding."""
    monkeypatch.setattr(layers, "round_weights", lambda network, *_: network)
    subject = checkpoint_subject(textures_checkpoint)
    layer = subject.network.get_submodule("blocks.8")
    layer.weight.data[:, 0, 0, 0] = 40 * layer.weight.detach().abs().max()
    windows = textures.calibration().windows
    found = attribute(subject.network, windows, windows, 80)
    assert found.worst(1) == ("blocks.8",)
    assert found.groups[0].difference < 0.7 * found.difference


def test_tracks_of_a_cache(small_cache: Path) -> None:
    tables = released("wide9s")
    cache = load_cache(small_cache, tables)
    tracks = cache_gate_set(cache, tables, "test", "small.npz")
    assert len(tracks.names) == len(tracks.truth) == 8
    assert tracks.source == "the test part of small.npz"
    empty = dataclasses.replace(cache, split=np.zeros_like(cache.split))
    with pytest.raises(DataError, match="no tracks"):
        cache_gate_set(empty, tables, "test", "small.npz")
    with pytest.raises(UsageError):
        cache_gate_set(cache, tables, "holdout", "small.npz")


def test_toy_tracks_have_no_truth() -> None:
    tables = released("seed3s")
    tracks = toy_gate_set(tables)
    assert (len(tracks.names), len(set(tracks.names)), tracks.truth) == (40, 40, None)
    assert {len(windows) for windows in tracks.windows} == {2}
    pcm, single = toy_pcm(tables)
    assert pcm.shape == (40, SPEC.window_samples)
    assert single.cells.shape == (40, 128, 128)
