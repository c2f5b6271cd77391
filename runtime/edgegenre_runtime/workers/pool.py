"""Work that goes through an executor, a bounded part of it at a time, and survives workers that die."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from edgegenre_runtime.errors import DataError, UsageError

from .cluster import open_cluster
from .processes import ProcessPool, check_number

__all__ = ["Job", "TaskLost", "Workers", "open_workers"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_MOST_CRASHES = 5  # in a row: then it is not the items


class TaskLost(RuntimeError):  # noqa: N818  # an outcome, not raised
    """Each process that was given the task died on it."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A call for a worker.

    Attributes
    ----------
    function, arguments
        Both can be pickled.
    owner
        What the caller knows it by; stays here.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    owner: Any


class Workers:
    """An executor, opened again when one of its processes dies.

    Parameters
    ----------
    open_executor
        Opens it.
    in_flight
        Tasks that it is given at a time: somewhat more than it works on.
    """

    def __init__(self, open_executor: Callable[[], Executor], in_flight: int) -> None:
        self._open_executor = open_executor
        self._in_flight = in_flight
        self._executor = open_executor()

    def results(self, next_job: Callable[[], Job | None]) -> Iterator[tuple[Job, Any]]:
        """Yield every job with what it returned, or the exception that it raised, as they are done.

        Where a process dies, everything in flight fails with it. A new executor is then opened and these jobs are run
        one at a time, so that the one that kills its process is known: it alone comes with a :class:`TaskLost`.

        Parameters
        ----------
        next_job
            Returns the next job, None if there is none at present; asked again after each result.

        Raises
        ------
        DataError
            If worker after worker dies.
        """
        suspects: deque[Job] = deque()
        n_crashes = 0
        while True:
            running: dict[Future[Any], Job] = {}
            try:
                for job, outcome in self._run(next_job, running, suspects):
                    n_crashes = _count(n_crashes, outcome)
                    yield job, outcome
                return
            except BrokenExecutor:
                self.terminate()
                self._executor = self._open_executor()
                if suspects:  # the first of them was alone
                    lost = TaskLost()
                    n_crashes = _count(n_crashes, lost)
                    yield suspects.popleft(), lost
                else:
                    suspects.extend(running.values())

    def map(
        self, function: Callable[[_T], _R], items: Iterable[_T], lost: Callable[[_T], _R] | None = None
    ) -> Iterator[_R]:
        """Yield the function's result for each item, in the order of the items.

        Parameters
        ----------
        function
            For processes and clusters a function of a module, bound to what can be pickled.
        items
            Read as results are taken, a bounded number ahead.
        lost
            The result for an item on which a process dies each time, such as a file that crashes a decoder. Without
            it such an item is an error.

        Raises
        ------
        DataError
            A process died on an item each time, or worker after worker dies.
        """
        source, done, n_taken, n_given = iter(items), dict[int, tuple[_T, Any]](), 0, 0

        def next_job() -> Job | None:
            nonlocal n_taken
            if n_taken - n_given >= 2 * self._in_flight:
                return None  # many are done, and wait for one before them
            for item in source:
                n_taken += 1
                return Job(function, (item,), (n_taken - 1, item))
            return None

        for job, outcome in self.results(next_job):
            number, item = job.owner
            done[number] = item, outcome
            while n_given in done:
                item, outcome = done.pop(n_given)
                n_given += 1
                yield _result(item, outcome, lost)

    def close(self) -> None:
        """End the executor; what has not begun is dropped."""
        self._executor.shutdown(cancel_futures=True)

    def terminate(self) -> None:
        """End the executor without waiting, its processes in the middle of a task."""
        if isinstance(self._executor, ProcessPool):
            self._executor.terminate()
        else:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(
        self, next_job: Callable[[], Job | None], running: dict[Future[Any], Job], suspects: deque[Job]
    ) -> Iterator[tuple[Job, Any]]:
        """Yield results until there is no job; raises BrokenExecutor with what is not done in ``running``."""
        while True:
            while len(running) < (1 if suspects else self._in_flight):
                job = suspects[0] if suspects else next_job()
                if job is None:
                    break
                try:
                    running[self._executor.submit(job.function, *job.arguments)] = job
                except BrokenExecutor:
                    running[Future()] = job
                    raise
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if isinstance(error, BrokenExecutor):
                    raise error
                job = running.pop(future)
                if suspects:
                    suspects.popleft()
                yield job, future.result() if error is None else error


@contextlib.contextmanager
def open_workers(workers: int | None = None, scheduler: str | None = None, *, threads: int = 1) -> Iterator[Workers]:
    """Open the workers that a command was given.

    Parameters
    ----------
    workers
        Processes of this machine (``--workers``).
    scheduler
        Address of a Dask scheduler (``--scheduler``), such as ``tcp://10.0.0.1:8786``.
    threads
        Threads of this process, where neither is given.

    Raises
    ------
    UsageError
        Both are given, a number of workers out of range, or what is no address.
    DataError
        No scheduler answers there, it has no workers, or they have another version of edgegenre.
    MissingExtraError
        A scheduler is given, and the extra ``cluster`` is not installed.
    """
    if workers is not None and scheduler is not None:
        raise UsageError("--workers are processes of this machine, --scheduler a cluster: leave one out")
    with contextlib.ExitStack() as stack:
        if scheduler is not None:
            cluster = stack.enter_context(open_cluster(scheduler))
            opened = Workers(cluster.executor, 2 * cluster.n_threads + 2)
        elif workers is not None:
            check_number(workers)
            opened = Workers(lambda: ProcessPool(workers), 2 * workers + 2)
        else:
            opened = Workers(lambda: ThreadPoolExecutor(threads), 2 * threads + 2)
        try:
            yield opened
        except BaseException:
            opened.terminate()
            raise
        opened.close()


def _count(n_crashes: int, outcome: Any) -> int:
    """Return how many tasks were lost in a row; raises :class:`DataError` for too many."""
    n_crashes = n_crashes + 1 if isinstance(outcome, TaskLost) else 0
    if n_crashes == _MOST_CRASHES:
        raise DataError(f"{n_crashes} worker processes died one after the other: is memory short?")
    return n_crashes


def _result(item: _T, outcome: Any, lost: Callable[[_T], _R] | None) -> _R:
    if isinstance(outcome, TaskLost):
        if lost is None:
            raise DataError(f"{item}: the process that worked on it died each time (out of memory, or a crash)")
        return lost(item)
    if isinstance(outcome, BaseException):
        raise outcome
    result: _R = outcome
    return result
