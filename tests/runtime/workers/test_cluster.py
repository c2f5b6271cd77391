"""A Dask cluster of real worker processes: one killed in mid-run, and a scheduler that is down or goes away."""

import os
import signal
import socket
import sys
import time

import pytest
import worker_tasks
from tls_server import make_certificates

from edgegenre_runtime.errors import DataError, MissingExtraError, UsageError
from edgegenre_runtime.workers import cluster as module
from edgegenre_runtime.workers import open_workers

TLS_FILES = {"ca-file": "ca.pem", "client.cert": "cert.pem", "client.key": "key.pem"}  # as Dask calls them
SQUARES = [n * n for n in range(40)]


def open_and_close(address):
    with open_workers(None, address):
        pass


@pytest.mark.parametrize(
    "address", ["10.0.0.1:8786", "tcp://", "tcp://host", "http://host:8786", "tcp://host:port", ""]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match="give the address of a Dask scheduler"):
        open_and_close(address)


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"edgegenre\[cluster\]"):
        open_and_close("tcp://127.0.0.1:8786")


def test_a_scheduler_that_is_down_is_known_at_once():
    pytest.importorskip("distributed")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(DataError, match=f"--scheduler {address}: no Dask"):
            open_and_close(address)
    assert time.monotonic() - began < 4


@pytest.mark.slow
def test_a_port_where_something_else_listens_is_no_scheduler(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(module, "_ANSWER_S", 1.0)
    no_scheduler = pytest.raises(DataError, match="no Dask scheduler answers there")
    with socket.create_server(("127.0.0.1", 0)) as server, no_scheduler:
        open_and_close(f"tcp://127.0.0.1:{server.getsockname()[1]}")


@pytest.fixture
def no_certificates():
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    with dask.config.set({f"distributed.comm.tls.{name}": None for name in TLS_FILES}):
        yield dask.config


def test_tls_needs_certificates(no_certificates, tmp_path):
    with pytest.raises(DataError, match=r"TLS needs certificates: name them in Dask's configuration"):
        open_and_close("tls://127.0.0.1:9")
    with (
        no_certificates.set({f"distributed.comm.tls.{name}": str(tmp_path / "none.pem") for name in TLS_FILES}),
        pytest.raises(DataError, match=r"the certificates of distributed.comm.tls, .* cannot be read \(no such file"),
    ):
        open_and_close("tls://127.0.0.1:9")


@pytest.mark.slow
def test_a_tls_scheduler_that_never_answers_is_given_up(no_certificates, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ANSWER_S", 1.0)
    folder = make_certificates(tmp_path)
    began = time.monotonic()
    with (
        no_certificates.set({f"distributed.comm.tls.{name}": str(folder / file) for name, file in TLS_FILES.items()}),
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DataError, match="no Dask scheduler answers there"),
    ):
        open_and_close(f"tls://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 45


@pytest.fixture
def local_cluster():
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.daemon": True}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50, host="127.0.0.1"
        ) as cluster,
    ):
        yield cluster


@pytest.mark.slow
def test_the_tasks_of_a_worker_that_is_killed_are_done_again(local_cluster):
    with open_workers(None, local_cluster.scheduler_address) as workers:
        results, pids = [], set()
        for value, pid in workers.map(worker_tasks.square_and_pid, range(200)):
            if len(results) == 20:
                os.kill(pid, signal.SIGKILL)
            results.append(value)
            pids.add(pid)
        assert results == [n * n for n in range(200)]
        assert len(pids) == 3  # two, and the one that took the place of the killed one
        lost = list(workers.map(worker_tasks.die_at_three, range(8), lambda n: f"lost {n}"))
        assert lost == [*SQUARES[:3], "lost 3", *SQUARES[4:8]]


def end_meanwhile(address, end):
    """Do something to the cluster while it works."""
    with open_workers(None, address) as workers:
        for n, _ in enumerate(workers.map(worker_tasks.slow_square, range(10_000))):
            if n == 10:
                end()


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_the_run(local_cluster, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.5)
    began = time.monotonic()
    with pytest.raises(DataError, match="the scheduler is gone"):
        end_meanwhile(local_cluster.scheduler_address, local_cluster.close)
    assert time.monotonic() - began < 120


@pytest.mark.slow
def test_workers_are_required(local_cluster, monkeypatch):
    address = local_cluster.scheduler_address
    with monkeypatch.context() as patch:
        patch.setattr(module, "version", lambda name: "0.0.7")
        with pytest.raises(DataError, match=r"this worker has edgegenre \S+, this machine 0.0.7"):
            open_and_close(address)
    monkeypatch.setattr(module, "_LOOK_S", 0.5)
    monkeypatch.setattr(module, "_NO_WORKER_S", 1.0)
    monkeypatch.setattr(module, "_WORKERS_S", 1.0)
    with pytest.raises(DataError, match="its workers are gone; start some with  dask worker"):
        end_meanwhile(address, lambda: local_cluster.scale(0))
    with pytest.raises(DataError, match="it has no workers; start some with  dask worker"):
        open_and_close(address)
