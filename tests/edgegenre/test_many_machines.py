"""The same results from this process, from processes and from a Dask cluster of which a worker is killed in mid-run."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgegenre.cli import main
from edgegenre.data.builders.build_cache import build_cache
from edgegenre.data.feature_cache import load_cache
from edgegenre.data.sources import open_dataset
from edgegenre_runtime.frontend import released
from edgegenre_runtime.library import Library
from edgegenre_runtime.workers import Workers, open_workers

BIN = Path(sys.executable).parent
TABLES = released("wide9s")


@pytest.fixture(scope="module")
def toy_cache(toy_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "alone.npz"
    build_cache(open_dataset(toy_folder), TABLES, path)
    return path


@pytest.fixture(scope="module")
def local_cluster():
    distributed = pytest.importorskip("distributed")
    about = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50, "host": "127.0.0.1"}
    with distributed.LocalCluster(n_workers=2, **about) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def address(local_cluster):
    return local_cluster.scheduler_address


def same_caches(a, b):
    one, two = load_cache(a, TABLES), load_cache(b, TABLES)
    assert one.names == two.names
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.split, two.split)


def evaluated(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_processes_prepare_the_same_features(toy_cache, toy_folder, tmp_path):
    assert main(["data", "prepare", str(toy_folder), "--out", str(tmp_path / "p.npz"), "--workers", "2"]) == 0
    same_caches(toy_cache, tmp_path / "p.npz")


def test_processes_evaluate_alike(small_cache, small_checkpoints, capsys):
    plain = [small_checkpoints[0], small_cache, "--against", small_checkpoints[1]]
    assert evaluated(capsys, *plain, "--workers", "2") == evaluated(capsys, *plain)


def test_a_model_that_workers_do_not_find_is_refused(small_cache, small_checkpoints, monkeypatch, capsys):
    monkeypatch.setattr("edgegenre.evaluate.models._digest", lambda paths: "another")
    arguments = ["evaluate", str(small_checkpoints[0]), str(small_cache), "--workers", "1"]
    assert main(arguments) == 2
    assert "a worker finds another model there" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "evaluate", "scan"])
def test_a_scheduler_that_is_down_ends_a_command_at_once(command, toy_folder, small_cache, small_checkpoints, tmp_path):
    pytest.importorskip("distributed")
    arguments = {
        "prepare": ["data", "prepare", toy_folder, "--out", tmp_path / "x.npz"],
        "evaluate": ["evaluate", small_checkpoints[0], small_cache],
        "scan": ["library", "scan", toy_folder, "--db", tmp_path / "x.sqlite"],
    }[command]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        scheduler = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        done = subprocess.run(
            [BIN / "edgegenre", *arguments, "--scheduler", scheduler],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"edgegenre: --scheduler {scheduler}: no Dask scheduler answers there; " + (
        "start one with  dask scheduler\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_features_are_the_same_though_a_worker_is_killed(local_cluster, address, toy_cache, toy_folder, tmp_path):
    killed = []

    def kill_one(done, total):
        if done == 4 and not killed:
            killed.append(local_cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with open_workers(None, address) as workers:
        build_cache(open_dataset(toy_folder), TABLES, tmp_path / "c.npz", workers=workers, progress=kill_one)
    assert killed
    same_caches(toy_cache, tmp_path / "c.npz")


@pytest.fixture
def killed(local_cluster, monkeypatch):
    """Kill a worker process after the second result; returns its number, and how many results came afterwards."""
    local_cluster.wait_for_workers(2, timeout=60)
    told, real = {"pid": None, "before": 0, "after": 0}, Workers.results

    def results(self, next_job):
        for found in real(self, next_job):
            if told["pid"] is None and told["before"] == 2:
                told["pid"] = local_cluster.workers[0].pid
                os.kill(told["pid"], signal.SIGKILL)
            told["before" if told["pid"] is None else "after"] += 1
            yield found

    monkeypatch.setattr(Workers, "results", results)
    return told


@pytest.mark.slow
def test_a_scan_is_the_same_though_a_worker_is_killed(address, killed, toy_folder, tmp_path):
    def scanned(name, *where):
        db = tmp_path / f"{name}.sqlite"
        assert main(["library", "scan", str(toy_folder), "--db", str(db), *where]) == 0
        with Library.open(db) as library:
            return [(t.path, t.analysis.label, t.analysis.embedding.tolist()) for t in library.tracks("1")]

    on_cluster = scanned("cluster", "--scheduler", address)
    assert killed["pid"]
    assert killed["after"] > 10
    assert on_cluster == scanned("alone", "--workers", "2")
    assert len(on_cluster) == 40


@pytest.mark.slow
def test_an_evaluation_is_the_same_though_a_worker_is_killed(address, killed, small_cache, small_checkpoints, capsys):
    plain = [small_checkpoints[0], small_cache, "--robustness"]
    on_cluster = evaluated(capsys, *plain, "--scheduler", address)
    assert killed["pid"]
    assert killed["after"] > 2
    assert on_cluster == evaluated(capsys, *plain)


@pytest.mark.slow
def test_the_commands_on_a_cluster(address, toy_cache, toy_folder, small_cache, small_checkpoints, tmp_path, capsys):
    on_cluster = ["--scheduler", address]
    assert main(["data", "prepare", str(toy_folder), "--out", str(tmp_path / "c.npz"), *on_cluster]) == 0
    same_caches(toy_cache, tmp_path / "c.npz")
    capsys.readouterr()
    plain = [small_checkpoints[0], small_cache, "--robustness"]
    assert evaluated(capsys, *plain, *on_cluster) == evaluated(capsys, *plain)
    rows = []
    for name, where in (("alone", ["--workers", "2"]), ("cluster", on_cluster)):
        db = tmp_path / f"{name}.sqlite"
        assert main(["library", "scan", str(toy_folder), "--db", str(db), *where]) == 0
        with Library.open(db) as library:
            rows.append([(t.path, t.analysis.label, t.analysis.embedding.tolist()) for t in library.tracks()])
    assert len(rows[0]) == 40
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_two_nodes_train_one_network(tmp_path, small_cache):
    """As a launcher does: the same command on each node, with the first one's address and the node's number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [BIN / "edgegenre", "train", small_cache, "--out", tmp_path / "run", "--epochs", "2", "--crops", "4"]
    command += ["--batch-size", "4", "--nodes", "2", "--strategy", "ddp", "--logger", "none"]
    nodes = [
        subprocess.Popen(
            command,
            env=os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        said = [node.communicate(timeout=300) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], said
    assert [row["epoch"] for row in json.loads((tmp_path / "run" / "history.json").read_text())] == [0, 1]
    assert [text.count("validation accuracy") for text, _ in said] == [1, 0]
