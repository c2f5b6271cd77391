"""The workers of a Dask cluster: reached by the address of their scheduler, asked for their version, watched."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.extras import import_extra

__all__ = ["Cluster", "open_cluster"]

_ANSWER_S = 5.0
_WORKERS_S = 10.0
_LOOK_S = 2.0
_NO_WORKER_S = 60.0
_SCHEMES = ("tcp", "tls")


@contextlib.contextmanager
def open_cluster(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler, and require workers of this version of edgegenre.

    Raises
    ------
    UsageError
        An address that is not of the form ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    DataError
        No scheduler answers there, it has no workers, or they have another version of edgegenre; or there are no
        certificates for TLS.
    MissingExtraError
        The extra ``cluster`` is not installed.
    """
    place = _host_and_port(address)
    distributed = import_extra("distributed", "cluster")
    if address.startswith("tls:"):
        _require_certificates(distributed, address)
    with _quiet(), contextlib.ExitStack() as stack:
        try:
            _require_answer(place, speaks_first=address.startswith("tcp:"))
            client = distributed.Client(address, timeout=_ANSWER_S, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:  # a TimeoutError is an OSError
            raise DataError(
                f"--scheduler {address}: no Dask scheduler answers there; start one with  dask scheduler"
            ) from error
        stack.callback(client.close, timeout=_ANSWER_S)
        _require_workers(client, address)
        yield Cluster(client, address)


class Cluster:
    """A connection to a scheduler: ``distributed.Client``, and the address as it was given."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address

    @property
    def n_threads(self) -> int:
        """Tasks that the cluster works on at a time."""
        n_threads: int = sum(self._client.nthreads().values())
        return max(1, n_threads)

    def executor(self) -> Executor:
        """Return an executor: a task of a worker that is lost is given to another."""
        return _ClusterExecutor(self._client, self._address)


class _ClusterExecutor(Executor):
    """Dask's executor, with our exceptions, and with an end to waiting where scheduler or workers are gone."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._executor = client.get_executor(pure=False)
        self._open: dict[Future[Any], Any] = {}  # ours, and Dask's
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """As :meth:`concurrent.futures.Executor.submit`."""
        future: Future[Any] = Future()
        try:
            theirs = self._executor.submit(function, *arguments, **named)
        except Exception:  # the connection is closed
            self._fail(future, self._scheduler_is_gone())
            return future
        self._open[future] = theirs
        theirs.add_done_callback(lambda done: self._finish(future, done))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what is not done; nobody has to wait for it."""
        self._ended.set()
        if self._client.status == "running":
            for theirs in list(self._open.values()):
                theirs.cancel()
        self._executor.shutdown(wait=False)

    def _finish(self, future: Future[Any], done: Any) -> None:
        """Pass on a result, or what became of the task."""
        self._open.pop(future, None)
        if future.done():
            return
        if done.cancelled():
            self._fail(future, self._scheduler_is_gone())  # not by us
        elif (error := done.exception()) is None:
            future.set_result(done.result())
        elif type(error).__name__ == "KilledWorker":
            future.set_exception(BrokenExecutor("workers died"))  # on this task, or on one that stood beside it
        elif self._client.status != "running" or _is_dasks(error):
            self._fail(future, self._scheduler_is_gone())
        else:
            future.set_exception(error)

    def _fail(self, future: Future[Any], why: DataError) -> None:
        with contextlib.suppress(InvalidStateError):  # done meanwhile
            future.set_exception(why)

    def _scheduler_is_gone(self) -> DataError:
        return DataError(f"--scheduler {self._address}: the scheduler is gone; start it, and run the command again")

    def _fail_all(self, why: DataError) -> None:
        for future in list(self._open):
            self._fail(future, why)

    def _has_workers(self) -> bool:
        """Ask the scheduler; not from Dask's own thread."""
        try:
            return bool(self._client.nthreads())
        except Exception:  # whatever a closed connection raises
            return False

    def _watch(self) -> None:
        """Let everything fail once the scheduler, or for a minute every worker, is gone."""
        alone_s = 0.0
        while not self._ended.wait(_LOOK_S):
            if self._client.status != "running":
                self._fail_all(self._scheduler_is_gone())
                continue
            alone_s = 0.0 if self._has_workers() else alone_s + _LOOK_S
            if alone_s >= _NO_WORKER_S:
                self._fail_all(
                    DataError(f"--scheduler {self._address}: its workers are gone; start some with  dask worker")
                )


def _is_dasks(error: BaseException) -> bool:
    """Return whether an exception is not the task's: Dask stumbles in several ways where the connection ends."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__", ""))
    return f"{type(error).__module__}.".startswith("distributed.") or f"{raised_in}.".startswith("distributed.")


def _host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an address; raises :class:`UsageError`."""
    try:
        parts = urlsplit(address)
        if parts.scheme in _SCHEMES and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise UsageError(f"--scheduler {address}: give the address of a Dask scheduler, as tcp://10.0.0.1:8786")


def _require_answer(place: tuple[str, int], *, speaks_first: bool) -> None:
    """Raise :class:`OSError` at once where nothing listens, or nothing that speaks first as a scheduler does.

    Dask's client tries again for a while, and waits for ever for a server that is silent.
    """
    with socket.create_connection(place, _ANSWER_S) as probe:
        if speaks_first and not probe.recv(1):
            raise OSError("it hangs up")


def _require_certificates(distributed: Any, address: str) -> None:
    """Raise :class:`DataError` unless Dask's configuration has certificates that can be read."""
    try:
        context = distributed.Security().get_connection_args("client").get("ssl_context")
    except OSError as error:  # ssl's errors too
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"--scheduler {address}: the certificates of distributed.comm.tls, in Dask's configuration, cannot be read "
            f"({reason})"
        ) from error
    if context is None:
        raise DataError(
            f"--scheduler {address}: TLS needs certificates: name them in Dask's configuration, distributed.comm.tls"
        )


def _require_workers(client: Any, address: str) -> None:
    """Raise :class:`DataError` unless there are workers, all of them with this version of edgegenre."""
    import asyncio  # here: it takes longer to import than the rest of this package

    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise DataError(f"--scheduler {address}: it has no workers; start some with  dask worker {address}") from error
    ours = version("edgegenre")
    for worker, theirs in client.run(importlib.metadata.version, "edgegenre", on_error="return").items():
        if theirs != ours:
            found = theirs if isinstance(theirs, str) else "none"
            raise DataError(f"{worker}: this worker has edgegenre {found}, this machine {ours}; install the same")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off standard error: what matters is raised as one line."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.core", "tornado")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
