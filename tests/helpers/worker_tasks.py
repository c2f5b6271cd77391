"""What the tests give to workers; in a module of its own because other processes import it."""

import os
import signal
import time
from pathlib import Path


def square(n):
    return n * n


def slow_square(n):
    time.sleep(0.02)
    return n * n


def square_and_pid(n):
    time.sleep(0.02)
    return n * n, os.getpid()


def die_once(task):
    """Square a number; the first process that meets ``folder/die`` removes it and is gone."""
    n, folder = task
    time.sleep(0.02)
    try:
        (Path(folder) / "die").unlink()
    except FileNotFoundError:
        return n * n
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_three(n):
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def square_or_die(n):
    if n == 13:
        os._exit(1)
    if n == 7:
        raise ValueError("seven")
    return n * n


def fail_at_three(n):
    if n == 3:
        raise ValueError("three")
    return n * n


def threads_of_a_core(_):
    return os.environ["OMP_NUM_THREADS"]
