"""The workers of one machine: a pool of processes that ends with this one, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Collection
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from edgegenre_runtime.errors import UsageError

__all__ = ["MAX_WORKERS", "check_number", "default_workers", "open_processes", "stop_processes"]

MAX_WORKERS = 256


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_number(n_workers: int) -> None:
    """Raise :class:`UsageError` for a number of processes that is not 1 to 256."""
    if not 1 <= n_workers <= MAX_WORKERS:
        raise UsageError(f"{n_workers} workers were given; allowed are 1 to {MAX_WORKERS}")


def open_processes(n_workers: int) -> Executor:
    """Return a pool of processes, which start when there is something to do."""
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks and an open database
    return ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin_worker)


def stop_processes(others: Collection[BaseProcess]) -> None:
    """End the workers at once, in the middle of a file, and leave ``others``, children from before, alone."""
    for process in multiprocessing.active_children():
        if process not in others:
            process.terminate()


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
