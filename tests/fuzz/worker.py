"""Run the targets of a module for some seconds in a process of its own, so that a crash is seen too.

    python tests/fuzz/worker.py device_targets SECONDS SEED FOLDER [TARGET]

An iteration is reproduced by its seed: ``numpy.random.default_rng([SEED, number of the target, iteration])``. The
input that is being read stands in FOLDER/input. A line of JSON a fault is printed; the first five of a target are kept.
"""

from __future__ import annotations

import collections
import importlib
import json
import logging
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from target import Target

from edgegenre_runtime.errors import EdgeGenreError

_MEMORY_BYTES = 12 << 30  # address space: torch and onnx map some GB by themselves
_MAX_S = 20.0
_MAX_KINDS = 5


def main(module: str, seconds: float, seed: int, folder: Path, only: str = "") -> None:
    """Give every target an equal share of the time."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    warnings.simplefilter("error")
    logging.disable()
    targets = list(importlib.import_module(module).targets())
    chosen = [(number, target) for number, target in enumerate(targets) if only in ("", target.name)]
    for number, target in chosen:
        _run(target, [seed, number], seconds / len(chosen), folder)


def _run(target: Target, seed: list[int], seconds: float, folder: Path) -> None:
    kinds: collections.Counter[str] = collections.Counter()
    began, iteration, n_refused = time.monotonic(), 0, 0
    while time.monotonic() - began < seconds:
        source = folder / "input"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        print(json.dumps({"target": target.name, "seed": [*seed, iteration], "begins": True}), flush=True)
        target.write(source, np.random.default_rng([*seed, iteration]))
        started_s = time.process_time()  # a busy machine does not stretch it
        try:
            target.read(source)
        except EdgeGenreError:
            n_refused += 1
        except Exception as error:
            _report(target, [*seed, iteration], error, kinds, folder)
        if time.process_time() - started_s > _MAX_S:
            _report(target, [*seed, iteration], TimeoutError(f"more than {_MAX_S} s of CPU time"), kinds, folder)
        iteration += 1
    print(json.dumps({"target": target.name, "iterations": iteration, "refused": n_refused}), flush=True)


def _report(target: Target, seed: list[int], error: Exception, kinds: collections.Counter[str], folder: Path) -> None:
    """Print a fault of a new kind, by where it was raised, and keep its input."""
    frame = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    kind = f"{type(error).__name__} at {frame.filename}:{frame.lineno}" if frame else type(error).__name__
    kinds[kind] += 1
    if kinds[kind] > 1 or len(kinds) > _MAX_KINDS:
        return
    kept = folder / f"{target.name.replace(' ', '_').replace(',', '')}-{seed[-1]}"
    shutil.copytree(folder / "input", kept, symlinks=True, dirs_exist_ok=True)
    lines = [line for line in traceback.format_exception(error) if "/edgegenre" in line][-3:]
    fault: dict[str, Any] = {"target": target.name, "seed": seed, "fault": f"{kind}: {str(error)[:300]}"}
    print(json.dumps(fault | {"where": lines, "input": str(kept)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
