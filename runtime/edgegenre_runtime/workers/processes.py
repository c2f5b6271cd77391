"""The workers of one machine: a pool of processes that ends with this one, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any

from edgegenre_runtime.errors import UsageError

__all__ = ["MAX_WORKERS", "ProcessPool", "check_number", "default_workers"]

MAX_WORKERS = 256


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_number(n_workers: int) -> None:
    """Raise :class:`UsageError` for a number of processes that is not 1 to 256."""
    if not 1 <= n_workers <= MAX_WORKERS:
        raise UsageError(f"{n_workers} workers were given; allowed are 1 to {MAX_WORKERS}")


class ProcessPool(ProcessPoolExecutor):
    """Processes that start when there is something to do, and that can be ended in the middle of it."""

    def __init__(self, n_workers: int) -> None:
        self._context = _RecordingContext()
        super().__init__(n_workers, mp_context=self._context, initializer=_begin_worker)

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to the pool; raises :class:`BrokenProcessPool` too if it breaks at this moment."""
        try:
            return super().submit(*args, **kwargs)
        except OSError as error:
            if error.errno is not None:
                raise
            raise BrokenProcessPool("a process was starting when the queues were closed") from error

    def terminate(self) -> None:
        """End every process at once.

        Also those of a broken pool, which ends only what has started when it breaks: a process that starts a moment
        later would wait for tasks for ever, and Python would wait for it at its end.
        """
        self.shutdown(wait=False, cancel_futures=True)
        for process in self._context.processes:
            if process.is_alive():
                process.terminate()


class _RecordingContext(SpawnContext):  # a fork would copy threads' locks and an open database
    """Knows each process from before its start on."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[BaseProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.processes.append(process)
        return process


def _begin_worker() -> None:
    """Take one core, leave Ctrl-C to the parent, drop what decoders print, and end when the parent does."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
