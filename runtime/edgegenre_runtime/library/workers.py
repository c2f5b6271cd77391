"""Work that goes through an executor, a bounded part of it at a time, and survives workers that die."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from edgegenre_runtime.errors import DataError

__all__ = ["Job", "results"]

_MOST_CRASHES = 5  # in a row: then it is not the files


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


def results(
    next_job: Callable[[], Job | None], open_executor: Callable[[], Executor], in_flight: int
) -> Iterator[tuple[Job, Any]]:
    """Yield every job with what it returned, or the exception that it raised, as they are done.

    Where a worker dies, everything in flight fails with it. A new executor is then opened and these jobs are run one at
    a time, so that the one that kills its worker is known: it alone comes with a :class:`BrokenExecutor`.

    Parameters
    ----------
    next_job
        Returns the next job, None if there is none at present; asked again after each result.
    open_executor
        Returns a new executor.
    in_flight
        Jobs that are submitted at a time.

    Raises
    ------
    DataError
        If worker after worker dies.
    """
    suspects: deque[Job] = deque()
    n_crashes = 0
    while True:
        executor = open_executor()
        running: dict[Future[Any], Job] = {}
        try:
            for job, outcome in _run(next_job, executor, in_flight, running, suspects):
                n_crashes = 0
                yield job, outcome
            return
        except BrokenExecutor as error:
            if suspects:  # the first of them was alone
                n_crashes += 1
                if n_crashes == _MOST_CRASHES:
                    raise DataError(
                        f"{n_crashes} worker processes died one after the other: is memory short?"
                    ) from error
                yield suspects.popleft(), error
            else:
                suspects.extend(running.values())
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _run(
    next_job: Callable[[], Job | None],
    executor: Executor,
    in_flight: int,
    running: dict[Future[Any], Job],
    suspects: deque[Job],
) -> Iterator[tuple[Job, Any]]:
    """Yield results until there is no job; raises BrokenExecutor with what is not done in ``running``."""
    while True:
        while len(running) < (1 if suspects else in_flight):
            job = suspects[0] if suspects else next_job()
            if job is None:
                break
            try:
                running[executor.submit(job.function, *job.arguments)] = job
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
