"""What is measured in a fresh process: the cold start, the memory, and how both and the time grow.

Run as ``python -m edgegenre_bench.measure.fresh_process JOB``, JOB being JSON; it prints one line of JSON.
:func:`run_child` starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["run_child"]

_TIMEOUT_S = 3600
_BLOCK_S = 1.0


def run_child(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in a fresh process of this Python.

    Parameters
    ----------
    job
        ``bundle`` (path), and either ``files`` (paths to classify) or ``audio_s`` and ``hop_frames`` (seconds of the
        bundle's golden pieces to listen to, and frames from window to window).

    Returns
    -------
    dict
        ``imports_ms`` and ``first_answer_ms`` since the process was started, ``load_ms`` of the bundle, ``wall_s`` from
        the first sample to the last answer, ``n_windows`` and ``rss_mb``, the largest resident memory.

    Raises
    ------
    DataError
        If it fails.
    """
    from edgegenre_runtime.errors import DataError

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [
        sys.executable,
        "-m",
        "edgegenre_bench.measure.fresh_process",
        json.dumps({**job, "started": time.time()}),
    ]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env=environment, timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise DataError(f"a measuring process failed (exit code {done.returncode}): {lines[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _work(job: dict[str, Any]) -> dict[str, Any]:
    from edgegenre_runtime import GenreClassifier

    imported = time.time()
    classifier = GenreClassifier.load(job["bundle"])
    loaded, first, n_windows = time.time(), 0.0, 0

    from edgegenre_runtime.network.golden import read_golden

    from .machine import largest_rss_mb

    music = read_golden(classifier.bundle)["pcm"].reshape(-1)
    began = time.time()
    for n_new in _by_files(classifier, job["files"]) if "files" in job else _by_stream(classifier, music, job):
        first = first or time.time()
        n_windows += n_new
    finished = time.time()
    return {
        "imports_ms": (imported - job["started"]) * 1e3,
        "load_ms": (loaded - imported) * 1e3,
        "first_answer_ms": (loaded - job["started"] + first - began) * 1e3,
        "wall_s": finished - began,
        "n_windows": n_windows,
        "rss_mb": largest_rss_mb(),
    }


def _by_files(classifier: Any, files: list[str]) -> Iterator[int]:
    for path in files:
        yield len(classifier.predict_file(path).windows)


def _by_stream(classifier: Any, music: Any, job: dict[str, Any]) -> Iterator[int]:
    """Listen to ``music`` over and over, a second at a time, and yield 1 per answer."""
    from edgegenre_runtime.network.window_stream import WindowStream

    stream, block = WindowStream(classifier.tables, job["hop_frames"]), round(_BLOCK_S * classifier.rate_hz)
    n_samples = round(job["audio_s"] * classifier.rate_hz)
    for at in range(0, n_samples, block):
        start = at % (len(music) - block)
        for item in stream.push(music[start : start + min(block, n_samples - at)]):
            classifier.probabilities(item.window.cells)
            yield 1
    if (last := stream.finish()) is not None:
        classifier.probabilities(last.window.cells)
        yield 1


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_work(json.loads(sys.argv[1]))) + "\n")
