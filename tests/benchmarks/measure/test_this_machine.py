"""A board measured: what a result holds, that streaming is linear in time and flat in memory, and what is refused."""

import json
import subprocess
import sys

import numpy as np
import pytest

from edgegenre.cli import main
from edgegenre_bench.measure import fresh_process, machine, plan
from edgegenre_bench.measure import this_machine as board
from edgegenre_bench.measure.accuracy import measure_accuracy
from edgegenre_bench.measure.fresh_process import run_child
from edgegenre_bench.measure.timing import time_in_turn
from edgegenre_bench.results.result import check_bundle, read_result, replay_golden, write_result
from edgegenre_bench.results.result_page import format_result, write_page
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import MelStream
from edgegenre_runtime.frontend import numpy_reference as mel
from edgegenre_runtime.network.golden import read_golden

TINY = plan.Plan("quick", 1, 4, (1, 2), 20, 1, 8, plan.Growth((60, 3600), (1, 3), (64,)))


@pytest.fixture(scope="module")
def result(toy_folder):
    return board.measure_machine(TINY, data=toy_folder, command="edgegenre bench run --plan <quick>")


def test_a_result_is_valid_and_survives_the_disk(result, tmp_path, capsys):
    write_result(result, tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == json.loads(json.dumps(result))
    assert main(["bench", "check", str(tmp_path / "r.json")]) == 0
    assert "valid" in capsys.readouterr().out
    stages = {(row["stage"], row["threads"]) for row in result["stages"]}
    assert {
        ("mel", 1),
        ("network", 1),
        ("network", 2),
        ("end_to_end", 1),
        ("end_to_end", 2),
        ("network_litert", 1),
    } <= stages
    assert result["accuracy"]["n_tracks"] == 8
    assert result["golden"]["mel_differs"] == 0
    assert result["golden"]["network_max_lsb"] <= 1


def test_streaming_is_flat_in_memory(result):
    short, long = (row for row in result["growth"] if row["axis"] == "length_s")
    assert long["audio_s"] == 60 * short["audio_s"]
    assert long["rss_mb"] < short["rss_mb"] + 3


def test_a_stream_computes_each_frame_once_however_long_it_is(monkeypatch):
    classifier, n_frames = GenreClassifier.load(), [0]
    right = MelStream.push

    def push(self, pcm):
        frames = right(self, pcm)
        n_frames[0] += frames.shape[1]
        return frames

    monkeypatch.setattr(MelStream, "push", push)
    music, hop = read_golden(classifier.bundle)["pcm"].reshape(-1), classifier.tables.spec.hop_samples
    for audio_s in (60, 600):
        n_frames[0] = 0
        job = {"audio_s": audio_s, "hop_frames": 64}
        n_windows = sum(fresh_process._by_stream(classifier, music, job))
        assert n_frames[0] == pytest.approx(audio_s * 22050 / hop, abs=4)
        assert n_windows == pytest.approx(audio_s * 22050 / (64 * hop), abs=2)


def test_the_page_stands_alone_and_escapes(result, tmp_path):
    write_page(result, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert text.count("data:image/png;base64,iVBORw0KGgo") == 4
    assert "&lt;quick&gt;" in text
    assert "<quick>" not in text
    assert "http://" not in text
    assert "real-time factor" in format_result(result)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r.pop("rss_mb"), "'rss_mb' is a required property"),
        (lambda r: r.update(surprise=1), "'surprise' was unexpected"),
        (lambda r: r.update(format="other"), "not a result"),
        (lambda r: r.update(format_version=9), "of format 9"),
        (lambda r: r.update(kind="imagined"), "emulated, measured"),
        (lambda r: r.update(device="rpi9"), "'rpi9' is unknown"),
        (lambda r: r["stages"][0].update(p50_ms=1e9), "not in order"),
        (lambda r: r.update(rss_mb=float("inf")), "rss_mb: inf is greater"),
        (lambda r: r.update(rss_mb=float("nan")), "rss_mb: must be a finite number"),
        (lambda r: r["cold_start"].update(processes=10**400), "cold_start.processes: 1000"),
        (lambda r: r.update(command="\x1b[2J"), "command: .* does not match"),
        (lambda r: r["bundle"]["files"].pop("model_int8.tflite"), "'model_int8.tflite' is a required property"),
        (lambda r: r["golden"]["outputs"][0].pop(), "rows differ in length"),
        (lambda r: r["stages"][0].update(p50_ms="fast"), r"stages\[0\].p50_ms: 'fast' is not of type 'number'"),
    ],
)
def test_a_result_out_of_shape_is_refused(result, tmp_path, change, says):
    document = json.loads(json.dumps(result))
    change(document)
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=says):
        read_result(tmp_path / "r.json")


def test_results_of_another_bundle_or_with_other_answers_are_refused(result):
    bundle = GenreClassifier.load().bundle
    check_bundle(result, bundle, "r")
    for part, key, value, says in (
        ("bundle", "id", "0" * 64, "of bundle 000000000000"),
        ("golden", "mel_differs", 3, "gave 3 other values"),
        ("golden", "outputs", [[0] * 10], "other answers"),
    ):
        document = json.loads(json.dumps(result))
        document[part][key] = value
        with pytest.raises(DataError, match=says):
            check_bundle(document, bundle, "r")


def test_a_front_end_that_is_wrong_is_seen_in_the_golden_replay(monkeypatch):
    monkeypatch.setenv("EDGEGENRE_FRONTEND", "numpy")
    right = mel.log2_q9
    monkeypatch.setattr(mel, "log2_q9", lambda *args: right(*args) + np.int16(1))
    assert replay_golden(GenreClassifier.load())["mel_differs"] > 1000


def test_a_board_of_another_architecture_is_not_measured_under_its_name(capsys):
    assert main(["bench", "run", "--device", "esp32-s3"]) == 2
    assert "esp32-s3 is xtensa, this machine" in capsys.readouterr().err


def test_rounds_go_turn_by_turn_and_warm_up_is_not_counted():
    order = []
    pipelines = {("a", 1): lambda: order.append("a"), ("b", 1): lambda: order.append("b")}
    rows = time_in_turn(pipelines, warm_up=2, repeats=3)
    assert order == ["a", "b"] * 5
    assert [row.repeats for row in rows] == [3, 3]


def test_a_timing_is_what_the_clock_says_between_the_two_ends_of_each_run():
    now_ns, durations_ms = [0], iter([500, 400, 5, 1, 3, 2, 4])

    def run():
        now_ns[0] += next(durations_ms) * 10**6

    (row,) = time_in_turn({("a", 1): run}, warm_up=2, repeats=5, now_ns=lambda: now_ns[0])
    assert (row.min_ms, row.p50_ms, row.p90_ms, row.p99_ms) == (1, 3, 5, 5)


def test_accuracy_from_audio_and_from_its_cache_agree(toy_folder, tmp_path):
    assert main(["data", "prepare", str(toy_folder), "--spec", "seed3s", "--out", str(tmp_path / "toy.npz")]) == 0
    classifier = GenreClassifier.load()
    split = json.loads((tmp_path / "toy.split.json").read_text())
    rows = ["path,label"] + [f"{toy_folder / name},{name.split('/')[0]}" for name in split["test"]]
    (tmp_path / "test.csv").write_text("\n".join(rows))
    by_audio = measure_accuracy(classifier, tmp_path / "test.csv", "test", 1000)
    by_cache = measure_accuracy(classifier, tmp_path / "toy.npz", "test", 1000)
    for key in ("n_tracks", "track_accuracy", "window_accuracy", "n_windows"):
        assert by_audio[key] == by_cache[key]


def test_a_child_that_fails_says_why(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        run_child({"bundle": str(tmp_path / "none"), "audio_s": 1, "hop_frames": 64})


def test_what_cannot_be_read_of_a_machine_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPU", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.machine_state()["governor"] is None
    assert machine.machine_state()["throttled"] is None
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho throttled=0x50000\n")
    (tmp_path / "vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.machine_state()["throttled"] == "0x50000"


def test_bench_run_needs_no_library_of_the_workstation():
    code = (
        "import sys\n"
        "for name in ('torch', 'librosa', 'scipy', 'onnx', 'onnxruntime', 'matplotlib'): sys.modules[name] = None\n"
        "import edgegenre_bench.measure.this_machine, edgegenre_bench.results.comparison, "
        "edgegenre_bench.results.result_page, edgegenre_bench.results.board_table\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_bundle_may_be_given_by_name(result, tmp_path, capsys):
    write_result(result, tmp_path / "r.json")
    assert main(["bench", "check", str(tmp_path / "r.json"), "--bundle", "default"]) == 0
    assert main(["bench", "check", str(tmp_path / "r.json"), "--bundle", "accurate"]) == 2
    assert "edgegenre_runtime/accurate is" in capsys.readouterr().err


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="there are: android-arm64"):
        board.measure_machine(TINY, device="rpi9")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--yamnet", "x.tflite"], "--yamnet needs --peers"),
        (["--checkpoint", "x"], "--checkpoint needs --peers"),
        (["--out", "/no/such/folder/x.json"], "there is no folder /no/such/folder"),
        (["--page", "/no/such/folder/x.html"], "there is no folder /no/such/folder"),
        (["--data", "/no/such/cache.npz"], "there is no such evaluation set"),
        (["--plan", "long"], "there are: full, quick"),
        (["--bundle", "nowhere"], "none of that name is installed; there are: accurate, default"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_measured(monkeypatch, capsys, arguments, says):
    monkeypatch.setattr("edgegenre_bench.measure.this_machine.time_in_turn", lambda *_: pytest.fail("measured"))
    assert main(["bench", "run", *arguments]) == 2
    assert says in capsys.readouterr().err
