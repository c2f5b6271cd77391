"""Work on threads and processes: in order, bounded, and done although processes die."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import worker_tasks

from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.workers import Job, TaskLost, Workers, open_workers
from edgegenre_runtime.workers.processes import ProcessPool

SQUARES = [n * n for n in range(40)]


def test_results_come_in_the_order_of_the_items_wherever_they_are_computed():
    with open_workers(threads=3) as workers:
        assert list(workers.map(worker_tasks.slow_square, range(40))) == SQUARES
    with open_workers(2) as workers:
        assert list(workers.map(worker_tasks.slow_square, range(40))) == SQUARES
        assert list(workers.map(worker_tasks.square, range(40))) == SQUARES  # it can be used again


def test_items_are_read_a_bounded_number_ahead():
    read = []

    def items():
        for n in range(1000):
            read.append(n)
            yield n

    with open_workers(threads=2) as workers:
        results = workers.map(worker_tasks.square, items())
        for n in range(100):
            assert next(results) == n * n
            assert len(read) <= n + 1 + 2 * 6
        results.close()
    assert len(read) < 120


def test_a_process_that_dies_is_replaced_and_its_tasks_are_done_again(tmp_path):
    (tmp_path / "die").touch()
    with open_workers(2) as workers:
        results = list(workers.map(worker_tasks.die_once, [(n, str(tmp_path)) for n in range(40)]))
    assert results == SQUARES
    assert not (tmp_path / "die").exists()


def test_an_item_that_ends_every_process_is_known_and_the_others_are_done():
    with open_workers(2) as workers:
        results = list(workers.map(worker_tasks.die_at_three, range(40), lambda n: f"lost {n}"))
        assert results == [*SQUARES[:3], "lost 3", *SQUARES[4:]]
        with pytest.raises(DataError, match=r"^3: the process that worked on it died each time"):
            list(workers.map(worker_tasks.die_at_three, range(40)))


def wait_until(true):
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    assert true()


def is_held(lock):
    free = lock.acquire(block=False)
    if free:
        lock.release()
    return not free


class KnownLate(ProcessPool):
    """The first process dies, with a lock that it holds while idle, before the pool knows that the second started."""

    def _spawn_process(self):
        super()._spawn_process()
        if len(self._context.processes) == 2:
            pid, process = self._processes.popitem()
            late.append(process)
            wait_until(lambda: not self._pending_work_items and is_held(self._call_queue._rlock))
            self.break_pool()
            self._processes[pid] = process

    def break_pool(self):
        os.kill(self._context.processes[0].pid, signal.SIGKILL)
        wait_until(lambda: self._call_queue._reader.closed)


class StartsLate(KnownLate):
    """The first process dies when the second is about to start."""

    def _spawn_process(self):
        if self._context.processes:
            self.break_pool()
        ProcessPool._spawn_process(self)


late = []


@pytest.mark.parametrize("first", [KnownLate, StartsLate])
def test_a_process_that_starts_while_the_pool_breaks_is_ended(first):
    late.clear()
    executors = iter([first, ProcessPool])
    workers = Workers(lambda: next(executors)(2), 2)
    assert list(workers.map(worker_tasks.square, [2, 1, 3])) == [4, 1, 9]
    workers.close()
    assert len(late) == (first is KnownLate)
    for process in late:
        wait_until(lambda process=process: not process.is_alive())


def test_what_a_task_raises_is_raised_here():
    with open_workers(2) as workers:
        results = workers.map(worker_tasks.fail_at_three, range(40))
        with pytest.raises(ValueError, match="three"):
            list(results)


def test_a_process_takes_one_core(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with open_workers(1) as workers:
        assert list(workers.map(worker_tasks.threads_of_a_core, [0])) == ["1"]
    assert "OMP_NUM_THREADS" not in os.environ


def jobs(numbers):
    left = iter(numbers)
    return lambda: next((Job(worker_tasks.square_or_die, (number,), number) for number in left), None)


def test_a_job_that_kills_its_worker_is_named_and_the_others_are_done():
    opened = []

    def open_executor():
        opened.append(ProcessPool(2))
        return opened[-1]

    workers = Workers(open_executor, 6)
    found = {job.owner: outcome for job, outcome in workers.results(jobs([*range(20), 13, 21]))}
    workers.close()
    assert isinstance(found.pop(13), TaskLost)
    assert isinstance(found.pop(7), ValueError)
    assert found == {number: number * number for number in (*range(20), 21) if number not in (7, 13)}
    assert len(opened) > 2


def test_where_every_worker_dies_it_ends():
    with pytest.raises(DataError, match="worker processes died one after the other"), open_workers(1) as workers:
        list(workers.results(jobs([13] * 20)))


def test_no_more_is_in_flight_than_asked_for():
    most, numbers, running = 0, iter(range(30)), []

    def next_job():
        nonlocal most
        number = next(numbers, None)
        if number is None:
            return None
        running.append(number)
        most = max(most, len(running))
        return Job(worker_tasks.slow_square, (number,), number)

    workers = Workers(lambda: ThreadPoolExecutor(8), 3)
    for job, _ in workers.results(next_job):
        running.remove(job.owner)
    workers.close()
    assert most == 3


def test_a_result_can_bring_a_new_job():
    more, found = [1], []
    with open_workers() as workers:
        for job, outcome in workers.results(
            lambda: Job(worker_tasks.square, (more[-1],), more.pop()) if more else None
        ):
            found.append(outcome)
            if job.owner < 4:
                more.append(job.owner + 1)
    assert found == [1, 4, 9, 16]


@pytest.mark.parametrize("n", [0, -1, 257])
def test_a_number_of_workers_out_of_range(n):
    with pytest.raises(UsageError, match=f"{n} workers were given; allowed are 1 to 256"), open_workers(n):
        pass


def test_workers_here_and_on_a_cluster_exclude_each_other():
    with pytest.raises(UsageError, match="leave one out"), open_workers(2, "tcp://127.0.0.1:8786"):
        pass


def interrupted(workers):
    list(workers.map(worker_tasks.square, range(4)))
    raise KeyboardInterrupt


def test_children_that_are_not_workers_are_left_alone():
    before = set(multiprocessing.active_children())
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), open_workers(1) as workers:
            interrupted(workers)
        wait_until(lambda: set(multiprocessing.active_children()) - before == {other})
    finally:
        other.kill()


ENDS_AT_ONCE = """
import os, signal, sys
sys.path.insert(0, {helpers!r})
import worker_tasks
from edgegenre_runtime.workers import open_workers

if __name__ == "__main__":
    with open_workers(2) as workers:
        for _, pid in workers.map(worker_tasks.square_and_pid, range(1000)):
            print(pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(ENDS_AT_ONCE.format(helpers=os.path.dirname(worker_tasks.__file__)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    wait_until(lambda: not os.path.exists(f"/proc/{int(done.stdout)}"))
