"""Regressions that are planted, each in the thing itself, and what ``bench compare`` says of them."""

import copy
import json
import shutil
import time

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgegenre.cli import main
from edgegenre_bench.measure import plan, timing
from edgegenre_bench.measure import this_machine as board
from edgegenre_bench.results.comparison import Allowed, compare_results
from edgegenre_bench.results.device_profiles import devices_folder
from edgegenre_bench.results.result import MODEL, read_result, write_result
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import numpy_reference as mel
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.compiler import compile_network

TINY = plan.Plan("quick", 2, 20, (1,), 5, 1, 20, plan.Growth((), (), ()))
LOOSE = ["--slower", "3", "--larger", "0.5"]


@pytest.fixture(scope="module", autouse=True)
def cpu_clock():
    """Time in this thread's CPU time, which a busy machine does not stretch; the plan has one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_now_ns", time.thread_time_ns)
        yield


@pytest.fixture(scope="module")
def measure(toy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")

    def run(name, **options):
        write_result(board.measure_machine(TINY, data=toy_folder, **options), folder / f"{name}.json")
        return str(folder / f"{name}.json")

    return run


@pytest.fixture(scope="module")
def base(measure):
    return measure("base")


def compare(capsys, *arguments):
    code = main(["bench", "compare", *arguments])
    return code, [line for line in capsys.readouterr().out.splitlines() if "**regression**" in line]


def test_the_same_code_passes(capsys, base, measure):
    assert compare(capsys, base, measure("again"), *LOOSE) == (0, [])


def test_a_front_end_that_became_slow_fails(capsys, base, measure, monkeypatch):
    monkeypatch.setenv("EDGEGENRE_FRONTEND", "numpy")
    code, regressions = compare(capsys, base, measure("slow"), *LOOSE)
    assert code == 1
    assert any(line.startswith("| mel, 1 threads") for line in regressions)
    assert not any("front-end bits" in line for line in regressions)


def test_a_front_end_with_other_bits_fails(capsys, base, measure, monkeypatch):
    monkeypatch.setenv("EDGEGENRE_FRONTEND", "numpy")
    right = mel.log2_q9
    monkeypatch.setattr(mel, "log2_q9", lambda *args: right(*args) + np.int16(1))
    code, regressions = compare(capsys, base, measure("bits"), "--slower", "1000", "--larger", "0.5")
    assert code == 1
    assert any("golden front-end values" in line for line in regressions)
    assert any("front-end bits" in line for line in regressions)


def with_reversed_weights(out):
    """Write the shipped bundle with the bytes of its largest weights reversed."""
    bundle = read_bundle(default_bundle())
    model = bundle.read(MODEL)
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    tensors = [t for t in interpreter.get_tensor_details() if t["dtype"] is np.int8 and len(t["shape"]) == 4]
    found = [interpreter.get_tensor(t["index"]).tobytes() for t in tensors if t["shape"][0] > 1]
    weights = max((data for data in found if model.count(data) == 1), key=len)
    files = {
        name: bundle.read(name) for name in bundle.manifest["files"] if name not in ("labels.txt", "frontend.json")
    }
    files[MODEL] = model.replace(weights, weights[::-1])
    files["net.eg"] = compile_network(files[MODEL])
    write_bundle(out, files, tables=bundle.tables, labels=bundle.labels, about={"model": bundle.manifest["model"]})
    return out


def test_a_model_that_became_worse_fails(capsys, base, measure, tmp_path):
    code, regressions = compare(capsys, base, measure("model", bundle=with_reversed_weights(tmp_path / "b")), *LOOSE)
    assert code == 1
    assert any("golden logits" in line for line in regressions)


def test_each_figure_has_its_limit(base):
    with open(base) as file:
        before = json.load(file)
    before["accuracy"]["track_accuracy"] = 0.6
    assert not any(change.is_regression for change in compare_results(before, before))

    def corrupted(change):
        after = copy.deepcopy(before)
        change(after)
        return [c.what for c in compare_results(before, after, Allowed()) if c.is_regression]

    (worse,) = corrupted(lambda r: r["accuracy"].update(track_accuracy=0.58))
    assert worse.startswith("accuracy on ")
    assert corrupted(lambda r: r["bundle"]["files"].update({MODEL: 10**6})) == [MODEL]
    assert corrupted(lambda r: r.update(rss_mb=before["rss_mb"] * 1.2)) == ["largest resident memory"]
    assert corrupted(lambda r: r.update(rss_mb=900.0)) == ["largest resident memory", "budget: memory, MB"]
    network = next(i for i, row in enumerate(before["stages"]) if row["stage"] == "network")
    assert corrupted(lambda r: r["stages"][network].update(min_ms=before["stages"][network]["min_ms"] * 1.3)) == [
        "network, 1 threads"
    ]
    assert corrupted(lambda r: [row.update(min_ms=row["min_ms"] * 3) for row in r["stages"]]) == []  # a slower machine


def test_what_cannot_be_compared_is_refused(base, tmp_path, capsys):
    with open(base) as file:
        result = json.load(file)
    with pytest.raises(UsageError, match="cannot be compared"):
        compare_results(result, result | {"device": ""})
    shutil.copy(base, tmp_path / "a.json")
    assert main(["bench", "compare", str(tmp_path / "a.json")]) == 2
    assert "two results or more" in capsys.readouterr().err


def at(document, path, change):
    """Return a copy of a document with one value replaced by ``change`` of it."""
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = change(node[path[-1]])
    return document


EDGES = [  # result, place, the worst value that is allowed, one that is not, and how the change is called
    ("x86-64", ("golden", "mel_differs"), lambda _: 0, lambda _: 1, "golden front-end values that differ"),
    ("x86-64", ("golden", "network_max_lsb"), lambda _: 1, lambda _: 2, "golden logits, largest difference"),
    ("x86-64", ("golden", "outputs", 0, 0), lambda x: x - 1, lambda x: x - 2, "network's answers between the two"),
    ("x86-64", ("golden", "mel_digest"), lambda x: x, lambda _: "0" * 64, "front-end bits"),
    ("x86-64", ("rss_mb",), lambda x: x * 1.1, lambda x: x * 1.11, "largest resident memory"),
    ("x86-64", ("stages", 2, "min_ms"), lambda x: x * 1.25, lambda x: x * 1.26, "network, 1 threads"),
    ("x86-64", ("accuracy", "track_accuracy"), lambda x: x - 0.01, lambda x: x - 0.0101, "accuracy on gtzan.npz, test"),
    ("rpi4", ("counts", 1, "instructions"), lambda x: int(x * 1.02), lambda x: int(x * 1.03), "network"),
    ("rpi4", ("parity", "frontend_differs"), lambda _: 0, lambda _: 1, "parity: frontend differs"),
    ("rpi4", ("parity", "network_max_lsb"), lambda _: 1, lambda _: 2, "parity: network max lsb"),
    ("rpi4", ("parity", "top1_differs"), lambda _: 0, lambda _: 1, "parity: top1 differs"),
]


def stored(name):
    """Return a committed result; a measured one with an accuracy, which it has only if it was measured with data."""
    result = read_result(devices_folder() / "results" / f"{name}.json")
    accuracy = {"data": "gtzan.npz", "part": "test", "data_id": "1" * 16, "track_accuracy": 0.7}
    return result | {"accuracy": accuracy} if result["kind"] == "measured" else result


@pytest.mark.parametrize(("name", "path", "allowed", "worse", "what"), EDGES, ids=[edge[-1] for edge in EDGES])
def test_a_limit_may_be_reached_and_not_passed(name, path, allowed, worse, what):
    before = stored(name)
    assert not any(change.is_regression for change in compare_results(before, at(before, path, allowed)))
    assert [c.what for c in compare_results(before, at(before, path, worse)) if c.is_regression] == [what]


def test_what_became_better_is_no_regression_and_is_shown_with_its_sign():
    before = read_result(devices_folder() / "results" / "x86-64.json")
    (memory,) = (c for c in compare_results(before, before | {"rss_mb": before["rss_mb"] / 2}) if "resident" in c.what)
    assert memory.after.endswith("(-50.0%)")
    assert not memory.is_regression


def test_other_bundles_are_compared_by_their_golden_answers_alone():
    before = read_result(devices_folder() / "results" / "x86-64.json")
    other = at(at(before, ("bundle", "id"), lambda _: "f" * 64), ("golden", "mel_digest"), lambda _: "0" * 64)
    assert not any(change.is_regression for change in compare_results(before, other))


@pytest.mark.parametrize("change", [lambda _: None, lambda a: a | {"data_id": "0" * 16, "track_accuracy": 0.0}])
def test_accuracy_is_compared_on_the_same_data_alone(change):
    before = stored("x86-64")
    after = at(before, ("accuracy",), change)
    for pair in ((before, after), (after, before)):
        assert not any(row.what.startswith("accuracy") for row in compare_results(*pair))


def test_times_need_a_yardstick_in_both():
    before = read_result(devices_folder() / "results" / "x86-64.json")
    after = at(before, ("stages",), lambda rows: [row for row in rows if row["stage"] != "yardstick"])
    for pair in ((before, after), (after, before)):
        with pytest.raises(UsageError, match="has no yardstick"):
            compare_results(*pair)
