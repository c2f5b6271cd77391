"""The engine as WebAssembly, with and without SIMD, in node: the reference's logits."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from network_columns import random_network_columns
from tflite_maker import random_network

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.compiler import compile_network, read_header, read_network
from edgegenre_runtime.network.reference import run_reference

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "runtime/c/src/net").glob("*.c"))
TOOLS = ("clang", "wasm-ld", "node")
RUN = """
const fs = require("fs"), [file, jobs] = process.argv.slice(2);
const { exports: e } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), {});
const answers = JSON.parse(fs.readFileSync(jobs)).map(({ blob, arena, cells, classes }) => {
  const bytes = fs.readFileSync(blob), given = fs.readFileSync(cells), at = e.block();
  const memory = new Uint8Array(e.memory.buffer), arenaAt = (bytes.length + 15) & ~15, cellsAt = arenaAt + arena;
  memory.set(bytes, at);
  memory.set(given, at + cellsAt);
  const logitsAt = cellsAt + given.length;
  const errors = [e.prepare(bytes.length, arenaAt, arena), e.run(cellsAt, given.length, logitsAt, classes)];
  return { errors, simd: e.is_simd(), logits: [...new Int8Array(e.memory.buffer, at + logitsAt, classes)] };
});
console.log(JSON.stringify(answers));
"""

pytestmark = pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}")


def build(folder, options):
    objects = []
    for source in (*SOURCES, ROOT / "runtime/c/wasm/string.c", ROOT / "tests/c/net_wasm.c"):
        objects.append(folder / f"{source.stem}.o")
        target = ["clang", "--target=wasm32", "-std=c99", "-O3", "-ffreestanding", "-fno-builtin", "-mbulk-memory"]
        command = [*target, *options, f"-I{ROOT / 'runtime/c/include'}", "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True, capture_output=True)
    module = folder / "net.wasm"
    exported = [f"--export={name}" for name in ("block", "prepare", "run", "is_simd")]
    subprocess.run(
        ["wasm-ld", "--no-entry", "--strip-all", "--gc-sections", *exported, *objects, "-o", module], check=True
    )
    return module


@pytest.mark.parametrize("options", [["-msimd128"], []], ids=["simd128", "plain"])
def test_it_answers_as_the_reference(tmp_path, options):
    rng, jobs, expected = np.random.default_rng(0), [], []
    shipped = [
        (read_bundle(find_bundle(name)).read("model_int8.tflite"), (128, 128)) for name in ("default", "accurate")
    ]
    made = [*map(random_network, range(20)), *map(random_network_columns, range(10))]
    for number, (model, shape) in enumerate([*shipped, *made]):
        try:
            blob = compile_network(model)
        except ExportError:
            continue
        cells = rng.integers(-128, 128, shape).astype(np.int8)
        (tmp_path / f"{number}.eg").write_bytes(blob)
        (tmp_path / f"{number}.cells").write_bytes(cells.tobytes())
        header = read_header(blob)
        files = {"blob": str(tmp_path / f"{number}.eg"), "cells": str(tmp_path / f"{number}.cells")}
        jobs.append({**files, "arena": header.arena_bytes, "classes": header.output_shape[1]})
        expected.append(run_reference(read_network(model), cells).tolist())
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    (tmp_path / "run.cjs").write_text(RUN)
    command = ["node", tmp_path / "run.cjs", build(tmp_path, options), tmp_path / "jobs.json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    answers = json.loads(done.stdout)
    assert [answer["errors"] for answer in answers] == [[0, 0]] * len(jobs)
    assert all(answer["simd"] == bool(options) for answer in answers)
    assert [answer["logits"] for answer in answers] == expected
    assert len(expected) > 20
