"""Work through an executor: bounded, and one job that kills its worker is named while the others are done."""

import os
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library.workers import Job, results


def square(number):
    if number == 13:
        os._exit(1)
    if number == 7:
        raise ValueError("seven")
    return number * number


def jobs(numbers):
    left = iter(numbers)
    return lambda: next((Job(square, (number,), number) for number in left), None)


def test_a_job_that_kills_its_worker_is_named_and_the_others_are_done():
    opened = []

    def open_executor():
        opened.append(ProcessPoolExecutor(2))
        return opened[-1]

    found = {job.owner: outcome for job, outcome in results(jobs([*range(20), 13, 21]), open_executor, 6)}
    assert isinstance(found.pop(13), BrokenExecutor)
    assert isinstance(found.pop(7), ValueError)
    assert found == {number: number * number for number in (*range(20), 21) if number not in (7, 13)}
    assert len(opened) > 2


def test_where_every_worker_dies_it_ends():
    with pytest.raises(DataError, match="worker processes died one after the other"):
        list(results(jobs([13] * 20), lambda: ProcessPoolExecutor(1), 2))


def test_no_more_is_in_flight_than_asked_for():
    most = 0

    def slow(number):
        time.sleep(0.01)
        return number

    numbers, running = iter(range(30)), []

    def next_job():
        nonlocal most
        number = next(numbers, None)
        if number is None:
            return None
        running.append(number)
        most = max(most, len(running))
        return Job(slow, (number,), number)

    for job, _ in results(next_job, lambda: ThreadPoolExecutor(8), 3):
        running.remove(job.owner)
    assert most == 3


def test_a_result_can_bring_a_new_job():
    more = [1]
    found = []
    for job, outcome in results(
        lambda: Job(square, (more[-1],), more.pop()) if more else None, lambda: ThreadPoolExecutor(1), 4
    ):
        found.append(outcome)
        if job.owner < 4:
            more.append(job.owner + 1)
    assert found == [1, 4, 9, 16]
