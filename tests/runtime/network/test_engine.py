"""NumPy reference, C engine in every build of this machine and LiteRT XNNPACK: the same logits, tolerance 0."""

import ctypes
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from network_1d import random_network_1d
from network_columns import random_network_columns
from tflite_maker import Maker, random_network

from edgegenre_runtime.errors import BundleError, ExportError
from edgegenre_runtime.network import engine
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.compiler import compile_network, read_network
from edgegenre_runtime.network.interpreters import quiet_stderr
from edgegenre_runtime.network.reference import run_reference

ROOT = Path(__file__).resolve().parents[3]
C = ROOT / "runtime" / "c"
SOURCES = [str(path) for path in sorted((C / "src" / "net").glob("*.c"))]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
BUILDS = {"best": [], "avx2": ["-DEDGEGENRE_NET_NO_VNNI"], "portable": ["-DEDGEGENRE_NET_PORTABLE"]}
N_NETWORKS = 40

pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang to compile the engine")


def compile_c(compiler, *arguments):
    command = [compiler, "-I", C / "include", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=[*(f"{COMPILERS[0]} {build}" for build in BUILDS), f"{COMPILERS[-1]} best"])
def library(request, tmp_path_factory):
    """The engine compiled now from the sources, by every compiler, with and without vector code."""
    compiler, build = request.param.split()
    path = tmp_path_factory.mktemp("engine") / f"{compiler}_{build}.so"
    compile_c(compiler, *STRICT, "-O3", "-fPIC", "-shared", *BUILDS[build], *SOURCES, "-o", path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "LIBRARY", path)
        yield build


def shipped(bundle):
    return read_bundle(find_bundle(bundle)).read("model_int8.tflite")


def windows(shape, seed, n):
    """Windows of every kind, int8: noise, quiet and loud, one value, one row."""
    rng = np.random.default_rng(seed)
    for kind in range(n):
        spread = rng.normal(rng.uniform(-120, 120), rng.uniform(1, 120), shape)
        row = np.broadcast_to(rng.integers(-128, 128, shape[1:]), shape)
        yield [rng.integers(-128, 128, shape), np.clip(spread, -128, 127), np.full(shape, -128), row][kind % 4].astype(
            np.int8
        )


def litert(model):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    with quiet_stderr():
        made = interpreter(model_content=model, num_threads=1)
        made.allocate_tensors()
    source, target = made.get_input_details()[0], made.get_output_details()[0]

    def run(cells):
        made.set_tensor(source["index"], cells.reshape(source["shape"]))
        made.invoke()
        return made.get_tensor(target["index"]).reshape(-1)

    return run


@pytest.mark.parametrize("bundle", ["default", "accurate"])
def test_the_shipped_network_answers_as_the_reference(library, bundle):
    graph, compiled = read_network(shipped(bundle)), engine.Engine(compile_network(shipped(bundle)))
    assert library == "best" or compiled.name.endswith((library, "portable"))
    for cells in windows((128, 128), 3, 8):
        assert np.array_equal(compiled.run(cells), run_reference(graph, cells))


def test_random_networks_answer_as_the_reference(library):
    refused = []
    for seed in range(N_NETWORKS):
        model, shape = random_network(seed)
        try:
            blob = compile_network(model)
        except ExportError as error:
            refused.append(str(error))
            continue
        graph, compiled = read_network(model), engine.Engine(blob)
        for cells in windows(shape, seed, 3):
            assert np.array_equal(compiled.run(cells), run_reference(graph, cells)), f"network {seed}"
    assert len(refused) < N_NETWORKS / 10
    assert all("must be gathered" in reason for reason in refused)  # an image transposed, then flattened


def test_random_1d_networks_answer_as_the_reference(library):
    for seed in range(N_NETWORKS):
        model, shape = random_network_1d(seed)
        graph, compiled = read_network(model), engine.Engine(compile_network(model))
        plain = engine.Engine(compile_network(model, is_interleaved=False))
        for cells in windows(shape, seed, 3):
            expected = run_reference(graph, cells)
            assert np.array_equal(compiled.run(cells), expected), f"network {seed}"
            assert np.array_equal(plain.run(cells), expected), f"network {seed}"


def test_random_networks_on_columns_answer_as_the_reference(library):
    """High, wide and dilated kernels, shifted copies of one channel, slices, products, maxima over many rows."""
    for seed in range(N_NETWORKS):
        model, shape = random_network_columns(seed)
        graph, compiled = read_network(model), engine.Engine(compile_network(model))
        for cells in windows(shape, seed, 3):
            assert np.array_equal(compiled.run(cells), run_reference(graph, cells)), f"network {seed}"


@pytest.mark.parametrize("bundle", ["default", "accurate"])
def test_the_reference_answers_as_xnnpack(bundle):
    graph, run = read_network(shipped(bundle)), litert(shipped(bundle))
    for cells in windows((128, 128), 5, 12):
        assert np.array_equal(run_reference(graph, cells), run(cells))


@pytest.mark.parametrize("made_by", [random_network, random_network_1d, random_network_columns])
def test_random_networks_answer_as_xnnpack(made_by):
    n_compared = 0
    for seed in range(N_NETWORKS):
        model, shape = made_by(seed)
        try:
            run = litert(model)
        except RuntimeError:  # XNNPACK cannot reshape some of these graphs
            continue
        n_compared += 1
        for cells in windows(shape, seed, 4):
            assert np.array_equal(run_reference(read_network(model), cells), run(cells)), f"network {seed}"
    assert n_compared > N_NETWORKS * 0.8


@pytest.mark.parametrize(("name", "largest", "scales"), [("MEAN", 20, (0.005, 0.05)), ("SUM", 4, (0.1, 0.4))])
def test_means_near_a_half_are_rounded_as_xnnpack_rounds_them(name, largest, scales):
    """Values within a thousandth of a half: the order of float operations shows."""
    n_near = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = (1, *(int(n) for n in rng.integers(1, largest, 2)), 64)
        maker = Maker(shape, rng, rng.uniform(0.01, 0.1), int(rng.integers(-128, 100)))
        mean = maker.reduce(name, maker.input, (1, 2))
        maker.tensors[mean].quantization.scale[0] = rng.uniform(*scales)
        model = maker.finish(mean)
        (source, zero), (target, _) = maker.quantization(maker.input), maker.quantization(mean)
        run, graph = litert(model), read_network(model)
        for _ in range(40):
            cells = np.clip(rng.normal(zero, 60, shape), -128, 127).astype(np.int8)
            whole = cells.astype(np.int64) - zero
            real = (whole.mean if name == "MEAN" else whole.sum)(axis=(0, 1, 2)) * source / target
            if np.abs(real - np.floor(real) - 0.5).min() > 1e-3:
                continue
            n_near += 1
            assert np.array_equal(run_reference(graph, cells), run(cells)), f"network {seed}"
    assert n_near > 100


def small_blob():
    return bytearray(compile_network(random_network(2)[0]))


def with_checksum(blob):
    blob[16:20] = zlib.crc32(blob[20:]).to_bytes(4, "little")
    return bytes(blob)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b[:-4], "cut short"),
        (lambda b: b[:100], "cut short"),
        (lambda b: b"", "not a compiled network"),
        (lambda b: b"EGMELTAB" + b[8:], "not a compiled network"),
        (lambda b: b[:8] + (2).to_bytes(4, "little") + b[12:], "of version 2, this package reads 3 to 4"),
        (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "checksum"),
    ],
)
def test_a_damaged_network_is_refused_in_one_line(library, change, says):
    with pytest.raises(BundleError, match=says) as caught:
        engine.Engine(bytes(change(small_blob())))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "good", [small_blob(), bytearray(compile_network(random_network_columns(0)[0]))], ids=["3", "4"]
)
def test_every_word_of_the_plan_that_could_reach_outside_is_refused(library, good):
    """Each word of the tables is made absurd: the engine refuses, or runs inside of its arena."""
    n_tables = 32 + 10 * int.from_bytes(good[20:24], "little") + 24 * int.from_bytes(good[24:28], "little")
    refused = 0
    for word in range(5, n_tables):
        for value in (-1, 2**31 - 1, -(2**31), 4097):
            blob = bytearray(good)
            blob[4 * word : 4 * word + 4] = value.to_bytes(4, "little", signed=True)
            refused += not _init_and_run(with_checksum(blob))
    assert refused > n_tables


IN_PLACE = (3, 8)  # ADD and TABLE, cell by cell


@pytest.mark.parametrize("made_by", [random_network, random_network_columns])
@pytest.mark.parametrize("seed", range(6))
def test_a_step_that_would_write_over_what_it_reads_is_refused(library, seed, made_by):
    good = bytearray(compile_network(made_by(seed)[0]))
    words = np.frombuffer(good, np.int32)
    n_buffers, n_steps = int(words[5]), int(words[6])
    assert _init_and_run(with_checksum(bytearray(good)))
    for step in range(n_steps):
        kind, *taken, output = words[32 + 10 * n_buffers + 24 * step :][:4]
        for index in taken:
            if index >= 0 and kind not in IN_PLACE:
                blob = bytearray(good)
                np.frombuffer(blob, np.int32)[32 + 10 * index] = words[32 + 10 * output]
                assert not _init_and_run(with_checksum(blob)), f"step {step} reads and writes buffer {index}"


def _init_and_run(blob):
    """Return whether the engine takes a blob; a run must not touch what lies beside its arena."""
    lib, content, state = engine.load(), engine._aligned(blob), engine._aligned(4096)
    arena_bytes = int.from_bytes(blob[28:32], "little", signed=True)
    if not 0 <= arena_bytes < 1 << 26:
        return False
    room = np.full(arena_bytes + 128, 0x5A, np.int8)
    arena = (state.ctypes.data, content.ctypes.data, len(content), room.ctypes.data + 64, arena_bytes)
    if lib.edgegenre_net_init(*arena):
        return False
    shape = np.frombuffer(blob[32:44], np.int32)
    cells, logits = np.zeros(int(np.prod(shape)), np.int8), np.zeros(int.from_bytes(blob[52:56], "little"), np.int8)
    lib.edgegenre_net_run(state.ctypes.data, cells.ctypes.data, cells.size, logits.ctypes.data, logits.size)
    assert (room[:64] == 0x5A).all()
    assert (room[-64:] == 0x5A).all()
    return True


def test_the_arena_is_refused_when_one_byte_is_missing(library):
    lib, blob = engine.load(), engine._aligned(bytes(small_blob()))
    n_bytes = int.from_bytes(small_blob()[28:32], "little")
    state, arena = engine._aligned(lib.edgegenre_net_state_bytes()), engine._aligned(n_bytes)
    pointers = (state.ctypes.data, blob.ctypes.data, len(blob), arena.ctypes.data)
    assert lib.edgegenre_net_init(*pointers, n_bytes - 1) == 3
    assert lib.edgegenre_net_init(*pointers, n_bytes) == 0
    assert lib.edgegenre_net_init(None, *pointers[1:], n_bytes) == 1
    assert lib.edgegenre_net_init(state.ctypes.data, blob.ctypes.data + 1, len(blob), arena.ctypes.data, n_bytes) == 2


def test_wrong_calls_give_error_codes(library):
    lib, compiled = engine.load(), engine.Engine(bytes(small_blob()))
    cells, logits = np.zeros(compiled._n_cells, np.int8), np.zeros(compiled.output_shape[1], np.int8)
    state, given = compiled._state.ctypes.data, (cells.ctypes.data, cells.size, logits.ctypes.data, logits.size)
    assert lib.edgegenre_net_run(state, *given) == 0
    assert lib.edgegenre_net_run(state, given[0], cells.size - 1, *given[2:]) == 3
    assert lib.edgegenre_net_run(state, *given[:3], logits.size + 1) == 3
    assert lib.edgegenre_net_run(state, None, *given[1:]) == 1
    assert lib.edgegenre_net_run(ctypes.addressof(ctypes.create_string_buffer(4096)), *given) == 9
    assert lib.edgegenre_net_strerror(99) == b"unknown error"


@pytest.mark.parametrize("build", BUILDS)
def test_the_loader_holds_against_mutated_networks(tmp_path, build):
    """Some seconds of fuzzing under the address and undefined-behavior sanitizers."""
    program = tmp_path / "fuzz"
    compile_c(
        "gcc",
        "-std=c99",
        *SANITIZE,
        "-DSTANDALONE",
        *BUILDS[build],
        ROOT / "tests/c/fuzz_net.c",
        *SOURCES,
        "-o",
        program,
    )
    for seed, made_by in ((2, random_network), (3, random_network), (0, random_network_columns)):
        blob = tmp_path / "net.eg"
        blob.write_bytes(compile_network(made_by(seed)[0]))
        done = subprocess.run([program, blob, "250", str(seed)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
