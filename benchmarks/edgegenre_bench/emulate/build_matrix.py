"""The parity matrix: the C front-end with every compiler and processor available, against the NumPy reference.

Real processors here, emulated ones with QEMU: aarch64 and armv7 as Linux programs, Cortex-M4 and M55 as firmware.
``edgegenre bench matrix`` prints the table.
"""

from __future__ import annotations

import dataclasses
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_export.package.board import BOARDS, Board
from edgegenre_export.package.c_sources import c_folder, c_include, c_sources
from edgegenre_export.package.network_header import network_header
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.frontend.c_tables import c_header, table_blob
from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.network.bundle import Bundle, read_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.compiler import read_network
from edgegenre_runtime.network.interpreters import TfliteModel, has_interpreter
from edgegenre_runtime.network.reference import run_reference

from .parity_reference import N_NOISE, STAGES, parity_header, reference_hashes

__all__ = [
    "TARGETS",
    "MatrixRow",
    "Target",
    "format_matrix",
    "has_failed",
    "music_of",
    "run_matrix",
]

_HERE = Path(__file__).parents[1] / "c"
_SOURCES = c_folder()
_N_NOISE = N_NOISE
SAME = "same bits"
_TIMEOUT_S = 900


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One way to build and run the implementation.

    Attributes
    ----------
    name
        What the table calls it.
    compile
        Compiler and its options.
    run
        Command that runs a program of it, the program last; empty for this machine.
    """

    name: str
    compile: tuple[str, ...]
    run: tuple[str, ...] = ()

    @property
    def is_firmware(self) -> bool:
        """Whether it runs without an operating system."""
        return self.compile[0].startswith("arm-none-eabi")


@dataclasses.dataclass(frozen=True, slots=True)
class MatrixRow:
    """What a target gave.

    Attributes
    ----------
    target
        Its name.
    frontend, network, chain
        ``same bits`` or ``DIFFERENT BITS``; where there is nothing to compare, why not.
    path
        The code that ran, of front-end and engine.
    memory
        Of firmware.
    """

    target: str
    frontend: str
    network: str = ""
    chain: str = ""
    path: str = ""
    memory: str = ""

    @property
    def outcome(self) -> str:
        """``same bits`` if all stages are; else the first that is not."""
        return next((o for o in (self.frontend, self.network, self.chain) if o != SAME), SAME)


def _linux_arm(cpu: str) -> Target:
    compiler = ("aarch64-linux-gnu-gcc", "-O3", "-static")
    return Target(f"aarch64 gcc -O3, emulated {cpu}", compiler, ("qemu-aarch64", "-cpu", cpu))


def _cortex_m(board: Board) -> Target:
    files = c_folder() / "examples" / "board"
    options = ("--specs=rdimon.specs", "-fstack-usage", f"-T{files / 'board.ld'}", str(files / "startup.c"))
    compiler = ("arm-none-eabi-gcc", "-O3", f"-mcpu={board.name}", "-mthumb", *board.flags, *options)
    return Target(f"{board.name} gcc -O3, emulated {board.machine}", compiler, board.run)


_PLAIN = ("-DEDGEGENRE_MEL_PORTABLE", "-DEDGEGENRE_NET_PORTABLE")
_ARMV7 = ("arm-linux-gnueabihf-gcc", "-O3", "-static")
_ARMV6 = ("arm-linux-gnueabi-gcc", "-O3", "-static", "-march=armv6", "-mfpu=vfp", "-mfloat-abi=softfp", "-marm")
TARGETS = (
    Target("gcc -O0", ("gcc", "-O0")),
    Target("gcc -O3", ("gcc", "-O3")),
    Target("gcc -O3, no VNNI", ("gcc", "-O3", "-DEDGEGENRE_NET_NO_VNNI")),
    Target("gcc -O3, plain C", ("gcc", "-O3", *_PLAIN)),
    Target("gcc -O3 -march=native, plain C", ("gcc", "-O3", "-march=native", *_PLAIN)),
    Target("gcc -O3 -march=native", ("gcc", "-O3", "-march=native")),
    Target("clang -O3", ("clang", "-O3")),
    Target("clang -O3, plain C", ("clang", "-O3", *_PLAIN)),
    *(_linux_arm(cpu) for cpu in ("cortex-a53", "cortex-a72", "cortex-a76")),
    Target("armv7 gcc -O3, emulated cortex-a7", _ARMV7, ("qemu-arm", "-cpu", "cortex-a7")),
    Target("armv7 gcc -O3 NEON, emulated cortex-a7", (*_ARMV7, "-mfpu=neon"), ("qemu-arm", "-cpu", "cortex-a7")),
    Target("armv6 gcc -O3, emulated arm1176", _ARMV6, ("qemu-arm", "-cpu", "arm1176")),
    *(_cortex_m(board) for board in BOARDS),
)


def _memory(target: Target, folder: Path, arena_bytes: str) -> str:
    """Return RAM and flash of front-end and engine alone: arenas, a bound on the stack, code, tables and network."""
    sizes = [
        subprocess.run(["arm-none-eabi-size", str(path)], capture_output=True, text=True, check=True)  # noqa: S603, S607
        for path in sorted(folder.glob("*edgegenre_[mn]e*.o"))
    ]
    code = sum(int(done.stdout.splitlines()[1].split()[0]) for done in sizes)
    stack = sum(
        int(line.split("\t")[1])  # but for the engine's row by row recursion all together are a bound
        for path in folder.glob("*edgegenre_[mn]e*.su")
        for line in path.read_text("utf-8").splitlines()
    )
    tables, network = len(table_blob(released("seed3s"))), len(_shipped().read("net.eg"))
    flash = f"code {code} B + tables {tables} B + network {network} B"
    return f"RAM: arenas {arena_bytes} B + stack about {stack} B; flash: {flash}"


def _shipped() -> Bundle:
    return read_bundle(default_bundle())


def _run_target(target: Target, folder: Path, expected: Mapping[str, str]) -> MatrixRow:
    for tool in filter(None, (target.compile[0], target.run[0] if target.run else "")):
        if shutil.which(tool) is None:
            return MatrixRow(target.name, f"not installed: {tool}")
    program = folder / "parity.elf"
    sources = [str(_HERE / "parity.c"), *map(str, c_sources(_SOURCES))]
    options = ["-std=c99", "-save-temps=obj", f"-I{folder}", c_include(_SOURCES)]
    for command in (
        [*target.compile, *options, *sources, "-o", str(program)],
        [*target.run, str(program)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
        if done.returncode != 0:
            return MatrixRow(target.name, f"failed: {command[0]}: {(done.stderr.strip() or done.stdout)[:200]}")
    found = dict(re.findall(r"(\w+)=(\w+)", done.stdout))
    if set(found) != {*STAGES, "path", "engine", "arena", "error"} or found["error"] != "0":
        return MatrixRow(target.name, f"failed: it printed {done.stdout[:200]!r}")
    memory = _memory(target, folder, found["arena"]) if target.is_firmware else ""
    path = ", ".join(dict.fromkeys((found["path"], found["engine"])))
    return MatrixRow(target.name, **_compare(found, expected), path=path, memory=memory)


def _compare(found: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, str]:
    """Return how front-end, network and whole chain compare."""
    stages = {"frontend": ("frames", "windows"), "network": ("network",), "chain": ("chain",)}
    same = {stage: all(found[name] == expected[name] for name in names) for stage, names in stages.items()}
    return {stage: SAME if is_same else "DIFFERENT BITS" for stage, is_same in same.items()}


def run_matrix(music: npt.NDArray[np.int16], targets: Sequence[Target] = TARGETS) -> list[MatrixRow]:
    """Build and run every target on noise, quiet noise and ``music`` (int16 [n], not empty).

    Raises
    ------
    UsageError
        If there is no music, or the C sources are not there (they are in a source checkout alone).
    """
    if len(music) == 0 or not c_sources(_SOURCES):
        raise UsageError(f"the parity matrix needs some music and the C sources in {_SOURCES}: run it in a checkout")
    bundle = _shipped()
    graph = read_network(bundle.read("model_int8.tflite"))
    expected = reference_hashes(music, lambda cells: run_reference(graph, cells), _N_NOISE)
    windows, network, chain = (f"reference {expected[name]}" for name in STAGES[1:])
    rows = [MatrixRow("NumPy reference", windows, network, chain, "numpy")]
    rows += [_litert(bundle, music, expected)] if has_interpreter() else []
    for target in targets:
        with tempfile.TemporaryDirectory() as name:
            raw = Path(name) / "music.raw"
            raw.write_bytes(music.astype("<i2").tobytes())
            header = parity_header(len(music), str(raw), _N_NOISE)
            (Path(name) / "pcm.h").write_text(header, encoding="utf-8")
            tables = c_header(released("seed3s"), "seed3s")
            (Path(name) / "tables_seed3s.h").write_text(tables, encoding="utf-8")
            network = network_header(bundle.read("net.eg"), bundle.task)
            (Path(name) / "network.h").write_text(network, encoding="utf-8")
            rows.append(_run_target(target, Path(name), expected))
    return rows


def _litert(bundle: Bundle, music: npt.NDArray[np.int16], expected: Mapping[str, str]) -> MatrixRow:
    """Run the reference front-end's windows through LiteRT."""
    model = TfliteModel(bundle.read("model_int8.tflite"))
    found = reference_hashes(music, lambda cells: model.run(cells.reshape(model.input.shape))[0], _N_NOISE)
    kernels = "XNNPACK" if "DELEGATE" in model.ops else "no XNNPACK"
    return MatrixRow(f"{model.name} behind the NumPy front-end", **_compare(found, expected), path=kernels)


def format_matrix(rows: Sequence[MatrixRow]) -> str:
    """Return the rows as a Markdown table."""
    columns = ("build and processor", "front-end", "network", "whole chain", "code", "memory")
    table = markdown_table(columns, map(dataclasses.astuple, rows))
    return f"Host: {platform.machine()}, {platform.system()}\n\n{table}"


def has_failed(rows: Sequence[MatrixRow]) -> bool:
    """Whether a target gave other bits, or could not be built or run with its tools there."""
    return any("DIFFERENT" in row.outcome or row.frontend.startswith("failed") for row in rows)


def music_of(clips: Sequence[Path], seconds: float) -> npt.NDArray[np.int16]:
    """Return the first seconds of audio files one after the other, or of toy music if there are none.

    Returns
    -------
    numpy.ndarray
        int16 [n] at 22050 Hz, at most ``seconds`` of it.
    """
    if not clips:
        return render(sorted(STYLES)[0], seed=1, seconds=seconds)
    n_wanted, pieces, n_read = round(seconds * 22050), [], 0
    for clip in clips:
        for block in file_blocks(clip, 22050):
            pieces.append(block)
            n_read += len(block)
        if n_read >= n_wanted:
            break
    return np.concatenate(pieces)[:n_wanted]
