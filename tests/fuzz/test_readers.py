"""Every reader of files from outside on damaged files: what it cannot read it refuses with an error of ours.

``EDGEGENRE_FUZZ_S`` are the seconds for all readers together (30 if not set), ``EDGEGENRE_FUZZ_SEED`` is the seed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = float(os.environ.get("EDGEGENRE_FUZZ_S", "30"))
MODULES = ("device_targets", "library_targets", "workstation_targets")
SEED = os.environ.get("EDGEGENRE_FUZZ_SEED", "1")


@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("module", MODULES)
def test_damaged_files_are_refused_and_nothing_else_happens(module, tmp_path):
    path = [str(HERE.parent / "helpers"), *(entry for entry in sys.path if entry)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, HERE / "worker.py", module, str(SECONDS / len(MODULES)), SEED, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS + 500)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"exit code {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    faults = [line for line in lines if "fault" in line]
    assert not faults, "\n".join(map(json.dumps, faults))
    finished = {line["target"]: line for line in lines if "iterations" in line}
    assert all(line["iterations"] >= 1 for line in finished.values()), finished
    assert sum(line["refused"] for line in finished.values()) > 10
