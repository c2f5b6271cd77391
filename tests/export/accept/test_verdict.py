"""The gate: it lets a sound export pass, and fails one that was damaged on purpose."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import textures
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper
from verdicts import made_up, refused_report

from edgegenre_export import AcceptanceReport, Limits, ReferenceTracks, inspect_onnx, inspect_tflite
from edgegenre_export.accept.layer_error import attribute
from edgegenre_export.accept.stage import accept
from edgegenre_export.accept.verdict import Verdict, judge, judge_tuning
from edgegenre_export.check.stage import check
from edgegenre_export.convert.stage import Artifact, Artifacts
from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_export.model_files import pack_tflite
from edgegenre_export.package.acceptance_text import advice
from edgegenre_export.package.publish import publish, rejected_path
from edgegenre_export.prepare.stage import prepare
from edgegenre_export.quantize import stage as quantize_stage
from edgegenre_export.quantize.weight_rounding import RoundedNetwork
from edgegenre_export.steps import ignore_steps
from edgegenre_runtime.errors import GateError
from edgegenre_runtime.network.bundle import Bundle, read_bundle
from edgegenre_runtime.network.task import make_task

TASK = make_task("single", ("x", "y"))

SPEC = textures.TABLES.spec


@pytest.fixture(scope="module")
def bundle(textures_export) -> Bundle:
    return read_bundle(textures_export.path)


def quantized(checkpoint):
    job = textures.job(Path("bundle"), checkpoint)
    return job, quantize_stage.quantize(job, prepare(job, ignore_steps), ignore_steps)


@pytest.fixture(scope="module")
def gate(textures_checkpoint):
    """From model files to what the acceptance gate finds; the float network answers the same windows once."""
    job, network = quantized(textures_checkpoint)
    answers: dict[tuple[int, bytes], np.ndarray] = {}
    logits_of = TrainedNetwork.logits

    def logits_once(of: TrainedNetwork, cells: np.ndarray) -> np.ndarray:
        key = id(of.module), cells.tobytes()
        if key not in answers:
            answers[key] = logits_of(of, cells)
        return answers[key].copy()

    def run(models: dict[str, bytes]) -> AcceptanceReport:
        inspect = {name: inspect_onnx if name.endswith(".onnx") else inspect_tflite for name in models}
        artifacts = {name: Artifact(model, inspect[name](model)) for name, model in models.items()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainedNetwork, "logits", logits_once)
            report = accept(job, check(job, Artifacts(network, artifacts, None, {}), ignore_steps), ignore_steps).report
        assert report is not None
        return report

    return run


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
    report = textures_export.acceptance
    assert report.faults == ()
    assert {v.artifact for v in report.verdicts} == set(textures_export.model_reports)
    for verdict in report.verdicts:
        assert verdict.agreement >= 0.97
        assert 0.99 < verdict.cosine <= 1
        if not verdict.artifact.startswith("model_audio"):
            assert verdict.accuracy_before == verdict.accuracy_now + (verdict.lost - verdict.gained) / verdict.n_tracks
    assert bundle.manifest["gate"]["status"] == "passed"
    assert bundle.manifest["gate"]["digest"] == textures.reference_tracks().digest()
    assert "Passed." in bundle.read("card.md").decode()


def test_a_rescaled_layer_is_refused(gate, bundle) -> None:
    model = onnx.load_from_string(bundle.read("model_int8.onnx"))
    scales = [item for item in model.graph.initializer if item.name.endswith("weight_scale")]
    scales = scales or [item for item in model.graph.initializer if "scale" in item.name and len(item.dims) == 1]
    victim = scales[1]
    victim.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(victim) * 3).astype(np.float32), victim.name))
    report = gate({"model_int8.onnx": model.SerializeToString()})
    assert any("tracks differently" in fault for fault in report.faults)
    assert any("gives another embedding" in fault for fault in report.faults)
    assert report.layers is not None
    assert {group.name for group in report.layers.groups} == {"blocks.0", "blocks.4", "blocks.8", "dense", "head"}
    assert "the conversion is at fault" in " ".join(advice(report))


def test_swapped_labels_are_refused(gate, bundle) -> None:
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

    report = gate({"model_int8.tflite": edited(bundle.read("model_int8.tflite"), swap)})
    (verdict,) = report.verdicts
    changed = [(track.before, track.now) for track in verdict.changed]
    assert {("sine", "comb"), ("comb", "sine")} <= set(changed)
    assert verdict.lost is not None
    assert verdict.lost >= 15


def test_labels_carried_in_another_order_are_refused(gate, bundle) -> None:
    model = onnx.load_from_string(bundle.read("model_int8.onnx"))
    (labels,) = [item for item in model.metadata_props if item.key == "labels"]
    labels.value = "\n".join(reversed(textures.LABELS))
    report = gate({"model_int8.onnx": model.SerializeToString()})
    assert report.faults == (
        "model_int8.onnx: carries the labels pulse, hiss, comb, sine; the network's are sine, comb, hiss, pulse",
    )


def test_a_truncating_cast_is_refused(gate, bundle) -> None:
    """Biases that went through int16 on their way: the high bits are gone."""

    def truncate(content) -> None:
        graph = content.subgraphs[0]
        for operator in graph.operators:
            if len(operator.inputs) == 3 and graph.tensors[operator.inputs[2]].type == schema.TensorType.INT32:
                buffer = content.buffers[graph.tensors[operator.inputs[2]].buffer]
                values = np.frombuffer(bytes(buffer.data), np.int32).astype(np.int16).astype(np.int32)
                buffer.data = np.frombuffer(values.tobytes(), np.uint8)

    report = gate({"model_int8.tflite": edited(bundle.read("model_int8.tflite"), truncate)})
    assert any("tracks differently" in fault for fault in report.faults)


@pytest.mark.parametrize(
    ("n", "allowed_changed", "allowed_lost"), [(10, 1, 1), (290, 2, 1), (580, 5, 2), (1000, 10, 3)]
)
def test_limits_grow_with_the_tracks(n: int, allowed_changed: int, allowed_lost: int) -> None:
    limits = Limits()
    assert (limits.allowed_changed(n), limits.allowed_lost(n)) == (allowed_changed, allowed_lost)
    for flipped, n_faults in ((allowed_changed, 0), (allowed_changed + 1, 1)):
        tracks, before, now = made_up(n, flipped, truth=False)
        verdict = judge("a", "b", before, now, tracks, TASK, limits)
        assert len(verdict.faults) == n_faults
        assert [track.name for track in verdict.changed] == [f"t{i:03}" for i in range(flipped)]
    tracks, before, now = made_up(n, allowed_lost + 1)
    assert f"loses {allowed_lost + 1} tracks net" in judge("a", "b", before, now, tracks, TASK, limits).faults[-1]


def test_gained_tracks_make_up_for_lost_ones() -> None:
    tracks, before, now = made_up(290, 2)
    tracks = dataclasses.replace(tracks, truth=np.array([0, 1] + [0] * 288))
    verdict = judge("a", "b", before, now, tracks, TASK, Limits())
    assert (verdict.lost, verdict.gained, verdict.faults) == (1, 1, ())


def test_tuning_is_judged_by_accuracy() -> None:
    tracks, before, now = made_up(100, 2)
    assert judge_tuning("pruned", before, now, tracks, TASK, Limits()).faults == ()
    tracks, before, now = made_up(100, 3)
    assert "3.0 points" in judge_tuning("pruned", before, now, tracks, TASK, Limits()).faults[0]


def test_nan_is_a_fault() -> None:
    tracks, before, now = made_up(10, 0)
    now[3] = np.nan
    assert "answers NaN or infinity" in judge("a", "b", before, now, tracks, TASK, Limits()).faults


def test_a_rejected_bundle_is_put_beside_and_the_old_one_stays(textures_checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    job = textures.job(out, textures_checkpoint)
    publish(job, {"model_int8.tflite": b"old"}, {}, None)
    with pytest.raises(GateError, match=r"9 of 290 tracks.*try: .*mine\.rejected with report\.md") as caught:
        publish(job, {"model_int8.tflite": b"new"}, {}, refused_report())
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert read_bundle(out).read("model_int8.tflite") == b"old"
    kept = read_bundle(rejected_path(out))
    assert kept.read("model_int8.tflite") == b"new"
    report = json.loads(kept.read("report.json"))
    assert report["status"] == "rejected"
    assert [track["name"] for track in report["verdicts"][0]["changed"]] == [f"t{i:03}" for i in range(9)]
    assert "| model_int8.tflite | t000 | x | x | y |" in kept.read("report.md").decode()


def test_layers_are_ranked_by_what_their_rounding_costs(textures_checkpoint, monkeypatch) -> None:
    """One layer is rounded to three steps a side, the others not at all."""

    def coarse(network, *_):
        rounded = copy.deepcopy(network)
        weights = rounded.get_submodule("blocks.8").weight.data
        step = weights.abs().max() / 3
        weights.copy_(torch.round(weights / step) * step)
        return RoundedNetwork(rounded, {})

    monkeypatch.setattr(quantize_stage, "round_weights", coarse)
    job, network = quantized(textures_checkpoint)
    found = attribute(network, job.reference)
    assert found.worst(1) == ("blocks.8",)
    assert found.groups[0].difference < 1e-6 < 0.7 * found.difference


def judge_labels(before: np.ndarray, now: np.ndarray, truth: np.ndarray) -> Verdict:
    n, task = len(before), make_task("multi", ("a", "b"), {"b": 0.3})
    names, windows = tuple(f"t{i:03}" for i in range(n)), tuple(np.zeros((1, 2, 2), np.int8) for _ in range(n))
    tracks = ReferenceTracks(names, windows, truth, "made up", "x")
    return judge("a", "b", before, now, tracks, task, Limits())


def test_sets_of_labels_are_compared_label_by_label() -> None:
    before = np.tile(np.float32([0.9, 0.1]), (100, 1))
    truth = np.tile([True, False], (100, 1))
    now = before.copy()
    now[0] = 0.9, 0.4  # the most probable label is the same, the set is not
    now[1] = 0.7, 0.29
    verdict = judge_labels(before, now, truth)
    assert [(c.name, c.truth, c.before, c.now) for c in verdict.changed] == [("t000", "a", "a", "a;b")]
    assert (verdict.lost, verdict.gained, verdict.accuracy_before, verdict.faults) == (1, 0, 1.0, ())
    now[1:3] = 0.2, 0.1
    verdict = judge_labels(before, now, truth)
    assert [track.now for track in verdict.changed] == ["a;b", "none", "none"]
    assert len(verdict.faults) == 2  # sets, and tracks lost


def test_a_label_at_its_threshold_is_too_close_to_call() -> None:
    before = np.tile(np.float32([0.9, 0.29]), (100, 1))
    now = before.copy()
    now[:50, 1] = 0.31
    truth = np.tile([True, False], (100, 1))
    truth[:50:2, 1] = True  # as many are gained as lost
    assert judge_labels(before, now, truth).faults == ()
    before[:, 1] = now[50:, 1] = 0.24
    assert any("50 of 100 tracks" in fault for fault in judge_labels(before, now, truth).faults)
