"""The engine's NEON kernels on emulated processors: the logits of the NumPy reference, tolerance 0."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from network_1d import random_network_1d
from network_columns import random_network_columns
from tflite_maker import random_network

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.compiler import compile_network, read_network
from edgegenre_runtime.network.reference import run_reference

ROOT = Path(__file__).resolve().parents[3]
BUILDS = {
    "cortex-a72": ("aarch64-linux-gnu-gcc", "qemu-aarch64", "neon", []),
    "cortex-a76": ("aarch64-linux-gnu-gcc", "qemu-aarch64", "neondot", []),
    "cortex-a7": ("arm-linux-gnueabihf-gcc", "qemu-arm", "neon", ["-mfpu=neon"]),
}
N_NETWORKS, N_WINDOWS = 12, 3


@pytest.mark.parametrize("cpu", BUILDS)
def test_random_networks_answer_as_the_reference(tmp_path, cpu):
    compiler, emulator, lanes, options = BUILDS[cpu]
    if not shutil.which(compiler) or not shutil.which(emulator):
        pytest.skip(f"needs {compiler} and {emulator}")
    program, c = tmp_path / "net_run", ROOT / "runtime" / "c"
    sources = [ROOT / "tests" / "c" / "net_run.c", *sorted((c / "src" / "net").glob("*.c"))]
    command = [compiler, "-std=c99", "-O3", "-static", *options, "-I", c / "include", *sources, "-o", program]
    subprocess.run(list(map(str, command)), check=True)
    n_compared = 0
    for seed in range(N_NETWORKS):
        for make in (random_network, random_network_1d, random_network_columns):
            model, shape = make(seed)
            try:
                (tmp_path / "net.eg").write_bytes(compile_network(model))
            except ExportError:
                continue
            cells = np.random.default_rng(seed).integers(-128, 128, (N_WINDOWS, *shape)).astype(np.int8)
            (tmp_path / "cells").write_bytes(cells.tobytes())
            run = [emulator, "-cpu", cpu, program, tmp_path / "net.eg", tmp_path / "cells"]
            done = subprocess.run(list(map(str, run)), capture_output=True, text=True, check=True)
            found, *lines = done.stdout.splitlines()
            assert found == lanes
            graph = read_network(model)
            expected = [run_reference(graph, window).tolist() for window in cells]
            assert [list(map(int, line.split())) for line in lines] == expected, f"{make.__name__} {seed}"
            n_compared += 1
    assert n_compared > N_NETWORKS
