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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_export.package.c_sources import c_folder, c_include, c_sources
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import normalize, released
from edgegenre_runtime.frontend.c_tables import c_header, table_blob
from edgegenre_runtime.frontend.numpy_reference import MelStream
from edgegenre_runtime.inspect.markdown import markdown_table

__all__ = [
    "TARGETS",
    "MatrixRow",
    "Target",
    "format_matrix",
    "has_failed",
    "music_of",
    "reference_hashes",
    "run_matrix",
]

_HERE = Path(__file__).parents[1] / "c"
_SOURCES = c_folder()
_N_NOISE, _MAX_CHUNK = 70000, 5000
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
    """What a target gave: ``same bits``, or why not; the code that ran; and its memory, where that is firmware."""

    target: str
    outcome: str
    path: str = ""
    memory: str = ""


def _linux_arm(cpu: str) -> Target:
    compiler = ("aarch64-linux-gnu-gcc", "-O3", "-static")
    return Target(f"aarch64 gcc -O3, emulated {cpu}", compiler, ("qemu-aarch64", "-cpu", cpu))


def _cortex_m(cpu: str, machine: str) -> Target:
    semihosting = ("--specs=rdimon.specs", "-fstack-usage", f"-T{_HERE / 'cortex_m.ld'}", str(_HERE / "cortex_m.c"))
    compiler = ("arm-none-eabi-gcc", "-O2", f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=soft", *semihosting)
    qemu = "qemu-system-arm", "-M", machine, "-semihosting", "-nographic", "-monitor", "none", "-serial", "none"
    return Target(f"{cpu} gcc -O2, emulated {machine}", compiler, (*qemu, "-kernel"))


_ARMV7 = ("arm-linux-gnueabihf-gcc", "-O3", "-static")
TARGETS = (
    Target("gcc -O0", ("gcc", "-O0")),
    Target("gcc -O3", ("gcc", "-O3")),
    Target("gcc -O3, plain C", ("gcc", "-O3", "-DEDGEGENRE_MEL_PORTABLE")),
    Target("gcc -O3 -march=native, plain C", ("gcc", "-O3", "-march=native", "-DEDGEGENRE_MEL_PORTABLE")),
    Target("gcc -O3 -march=native", ("gcc", "-O3", "-march=native")),
    Target("clang -O3", ("clang", "-O3")),
    Target("clang -O3, plain C", ("clang", "-O3", "-DEDGEGENRE_MEL_PORTABLE")),
    *(_linux_arm(cpu) for cpu in ("cortex-a53", "cortex-a72", "cortex-a76")),
    Target("armv7 gcc -O3, emulated cortex-a7", _ARMV7, ("qemu-arm", "-cpu", "cortex-a7")),
    Target("armv7 gcc -O3 NEON, emulated cortex-a7", (*_ARMV7, "-mfpu=neon"), ("qemu-arm", "-cpu", "cortex-a7")),
    _cortex_m("cortex-m4", "mps2-an386"),
    _cortex_m("cortex-m55", "mps3-an547"),
)


def _lcg(x: int) -> int:
    return (1664525 * x + 1013904223) % 2**32


def _signal(music: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the PCM that parity.c runs on, int16 [2 * _N_NOISE + len(music)]."""
    noise, x = [], 1
    for _ in range(2 * _N_NOISE):
        x = _lcg(x)
        noise.append((x >> 16) - 32768)
    pcm = np.array(noise, dtype=np.int16)
    return np.concatenate((pcm[:_N_NOISE], pcm[_N_NOISE:] >> 10, music))


def _fnv1a(state: int, data: bytes) -> int:
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


def reference_hashes(music: npt.NDArray[np.int16]) -> str:
    """Return what parity.c prints about frames and windows, computed by the NumPy reference."""
    tables = released("seed3s")
    stream, pcm = MelStream(tables), _signal(music)
    width = tables.spec.frames_per_window
    frames = np.empty((tables.spec.n_mels, 0), dtype=np.int16)
    frames_hash = windows_hash = 0xCBF29CE484222325
    at, x = 0, 2
    while at < len(pcm):
        x = _lcg(x)
        chunk = min((x >> 8) % (_MAX_CHUNK + 1), len(pcm) - at)
        new = stream.push(pcm[at : at + chunk])
        frames_hash = _fnv1a(frames_hash, new.T.astype("<i2").tobytes())
        frames = np.concatenate((frames, new), axis=1)[:, -width:]
        if frames.shape[1] == width:
            window = normalize(frames, tables)
            windows_hash = (_fnv1a(windows_hash, window.cells.tobytes()) + window.is_silence) % 2**64
        at += chunk
    return f"frames={frames_hash:016x} windows={windows_hash:016x}"


def _memory(target: Target, folder: Path, arena_bytes: str) -> str:
    """Return RAM and flash of the implementation alone: its arena, a bound on its stack, its code and its tables."""
    sizes = [
        subprocess.run(["arm-none-eabi-size", str(path)], capture_output=True, text=True, check=True)  # noqa: S603, S607
        for path in sorted(folder.glob("*edgegenre_mel*.o"))
    ]
    code = sum(int(done.stdout.splitlines()[1].split()[0]) for done in sizes)
    stack = sum(
        int(line.split("\t")[1])  # no function calls itself, so that all together are a bound
        for path in folder.glob("*edgegenre_mel*.su")
        for line in path.read_text("utf-8").splitlines()
    )
    tables = len(table_blob(released("seed3s")))
    return f"RAM: arena {arena_bytes} B + stack < {stack} B; flash: code {code} B + tables {tables} B"


def _run_target(target: Target, folder: Path, expected: str) -> MatrixRow:
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
    found = re.fullmatch(r"(frames=\w+ windows=\w+) path=(\w+) arena=(\d+) error=0\s*", done.stdout)
    if found is None:
        return MatrixRow(target.name, f"failed: it printed {done.stdout[:200]!r}")
    outcome = "same bits" if found[1] == expected else f"DIFFERENT BITS: {found[1]}"
    return MatrixRow(target.name, outcome, found[2], _memory(target, folder, found[3]) if target.is_firmware else "")


def run_matrix(music: npt.NDArray[np.int16], targets: Sequence[Target] = TARGETS) -> list[MatrixRow]:
    """Build and run every target on noise, quiet noise and ``music`` (int16 [n], not empty).

    Raises
    ------
    UsageError
        If there is no music, or the C sources are not there (they are in a source checkout alone).
    """
    if len(music) == 0 or not c_sources(_SOURCES):
        raise UsageError(f"the parity matrix needs some music and the C sources in {_SOURCES}: run it in a checkout")
    expected = reference_hashes(music)
    rows = [MatrixRow("NumPy reference", expected, "numpy")]
    for target in targets:
        with tempfile.TemporaryDirectory() as name:
            raw = Path(name) / "music.raw"
            raw.write_bytes(music.astype("<i2").tobytes())
            header = f'#define N_NOISE {_N_NOISE}u\n#define N_MUSIC {len(music)}u\n#define MUSIC_FILE "{raw}"\n'
            (Path(name) / "pcm.h").write_text(header, encoding="utf-8")
            tables = c_header(released("seed3s"), "seed3s")
            (Path(name) / "tables_seed3s.h").write_text(tables, encoding="utf-8")
            rows.append(_run_target(target, Path(name), expected))
    return rows


def format_matrix(rows: Sequence[MatrixRow]) -> str:
    """Return the rows as a Markdown table."""
    table = markdown_table(("build and processor", "outcome", "code", "memory"), map(dataclasses.astuple, rows))
    return f"Host: {platform.machine()}, {platform.system()}\n\n{table}"


def has_failed(rows: Sequence[MatrixRow]) -> bool:
    """Whether a target gave other bits, or could not be built or run with its tools there."""
    return any(row.outcome.startswith(("failed", "DIFFERENT")) for row in rows)


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
