"""Guest instructions of the front-end on emulated 64-bit Raspberry Pis: C implementation, NumPy reference and scipy.

Instructions on an emulated CPU are not milliseconds: they know nothing of caches, of memory or of how many
instructions a core starts per cycle. They do repeat, and they compare code on a processor that is not at hand.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import scipy.signal

import edgegenre_runtime
from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_bench.measure import frontend_pipelines as guest
from edgegenre_export.package.c_sources import c_folder, c_include, c_sources
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import FrontendSpec, released
from edgegenre_runtime.inspect.markdown import markdown_table

from .arm64_userland import call
from .qemu import CPUS, Progress, Userland, check_tools, prepare, run

__all__ = [
    "LIBRARY",
    "LIBRARY_FLAGS",
    "InstructionCount",
    "as_json",
    "between_marks",
    "count_all",
    "counter",
    "cross_compile",
    "format_instructions",
]

_PACKAGE = Path(__file__).parents[1]
_SOURCES = c_folder()
LIBRARY = "edgegenre_runtime/frontend/lib/edgegenre_mel.so"
LIBRARY_FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared", "-fvisibility=default")
"""As in hatch_build.py, so that the library counted is the one in the aarch64 wheel."""


@dataclasses.dataclass(frozen=True, slots=True)
class InstructionCount:
    """Guest instructions of one pipeline on one emulated processor.

    Attributes
    ----------
    cpu
        QEMU's name of the processor.
    pipeline
        What was counted; the C implementation with the code it chose.
    counts
        Instructions for the audio, one number a run; each run is a process of its own.
    audio_s
        Length of the audio in seconds.
    """

    cpu: str
    pipeline: str
    counts: tuple[int, ...]
    audio_s: float

    @property
    def per_second(self) -> float:
        """Instructions per second of audio, the mean of the runs."""
        return sum(self.counts) / len(self.counts) / self.audio_s

    @property
    def spread(self) -> float:
        """Largest over smallest count, less one."""
        return max(self.counts) / min(self.counts) - 1


def cross_compile(out: Path) -> None:
    """Compile the C implementation for aarch64, as the wheel's build does.

    Raises
    ------
    UsageError
        If the cross compiler or the sources are missing (they are in a source checkout alone).
    """
    check_tools("aarch64-linux-gnu-gcc")
    sources = [c_include(_SOURCES), *map(str, c_sources(_SOURCES))]
    if not sources:
        raise UsageError(f"counting instructions needs the C sources in {_SOURCES}: run it in a checkout")
    out.parent.mkdir(parents=True, exist_ok=True)
    command = ["aarch64-linux-gnu-gcc", *LIBRARY_FLAGS, *sources, "-o", str(out)]
    call(command, "the C front-end cannot be compiled for aarch64")


def counter(cache: Path) -> Path:
    """Return the QEMU plugin that counts, compiled into ``cache`` by cc and named by the hash of its source."""
    source = _PACKAGE / "c" / "count_instructions.c"
    built = cache / f"count_{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    if not built.exists():
        check_tools("cc")
        command = ["cc", "-O2", "-shared", "-fPIC", str(source), "-o", f"{built}.part"]
        call(command, "the instruction counter cannot be compiled")
        Path(f"{built}.part").replace(built)
    return built


def _write_job(path: Path, spec: FrontendSpec) -> None:
    """Write one window of seeded toy music, and the float tables of the scipy pipeline."""
    pcm = render(sorted(STYLES)[0], seed=1, seconds=(spec.window_samples + 1) / spec.sample_rate_hz)
    weights = librosa.filters.mel(
        sr=spec.sample_rate_hz, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin_hz, fmax=spec.fmax_hz
    )
    hann = scipy.signal.get_window("hann", spec.n_fft).astype(np.float32)
    np.savez(path, pcm=pcm[: spec.window_samples], hann=hann, weights=np.ascontiguousarray(weights.T, np.float32))


def between_marks(lines: str, n: int = len(guest.BRACKETS) - 1) -> list[int]:
    """Return the instructions of the ``n`` regions between marks, less those of the marks themselves."""
    marks = [line.split() for line in lines.splitlines()]
    at = {int(tag): int(count) for tag, count in marks if tag != "total"}  # the last mark of a tag counts
    between = [at[2 * i + 1] - at[2 * i] for i in range(n + 1)]
    return [count - between[0] for count in between[1:]]


def _count_once(userland: Userland, cpu: str, folder: Path) -> tuple[str, list[int]]:
    """Run the guest once; returns the code that the C implementation chose, and the count of each pipeline."""
    counts, answer = folder / "counts.txt", folder / "answer.json"
    for path in (counts, answer):  # what a folder holds moves the guest's allocations, and with them some counts
        path.unlink(missing_ok=True)
    run(
        userland,
        cpu,
        [guest.__file__, folder / "job.npz", answer],
        path=[folder],
        qemu_options=("-plugin", f"{counter(userland.cache)},out={counts}"),
    )
    told = json.loads(answer.read_text("utf-8"))
    if not told["is_same"]:
        raise DataError(
            f"on the emulated {cpu} the C implementation gives other bits than NumPy: run  edgegenre bench matrix"
        )
    return told["path"], between_marks(counts.read_text("utf-8"))


def count_all(
    cpus: Sequence[str],
    cache: Path | None = None,
    repeats: int = 2,
    progress: Progress = lambda line: None,
) -> list[InstructionCount]:
    """Count every pipeline on every processor.

    Parameters
    ----------
    cpus
        Keys of :data:`.qemu.CPUS`.
    cache
        Folder of the userland, see :func:`.qemu.cache_folder`; set up if it is not there.
    repeats
        Runs of each, 1 or more; each is a process of its own.
    progress
        Called with a line before each step.

    Raises
    ------
    UsageError
        If a processor is unknown, a tool is missing or there are no runs.
    DataError
        If the userland cannot be set up, or the two implementations differ in it.
    """
    unknown = [cpu for cpu in cpus if cpu not in CPUS]
    if unknown or repeats < 1:
        raise UsageError(f"{repeats} runs on {', '.join(unknown or cpus)}: allowed are 1 or more on {', '.join(CPUS)}")
    spec = released("seed3s").spec
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cross_compile(folder / LIBRARY)
        userland = prepare(cache, progress)
        package = Path(edgegenre_runtime.__file__).parent
        ignore = shutil.ignore_patterns("lib", "default", "__pycache__")
        shutil.copytree(package, folder / "edgegenre_runtime", ignore=ignore, dirs_exist_ok=True)
        _write_job(folder / "job.npz", spec)
        for cpu in cpus:
            progress(f"counting on an emulated {cpu}, {repeats} runs")
            runs = [_count_once(userland, cpu, folder) for _ in range(repeats)]
            for index, pipeline in enumerate(guest.BRACKETS[1:]):
                name = f"{pipeline} ({runs[0][0]})" if index == 0 else pipeline
                rows.append(InstructionCount(cpu, name, tuple(counts[index] for _, counts in runs), spec.window_s))
    return rows


def format_instructions(rows: Sequence[InstructionCount]) -> str:
    """Return the counts as a Markdown table."""
    heads = ("emulated CPU", "front-end", "million instructions per second of audio", "× of C", "spread of the runs")
    cells = []
    for row in rows:
        ours = next(other for other in rows if other.cpu == row.cpu)
        ratio = row.per_second / ours.per_second
        spread = f"{row.spread:.4%} of {len(row.counts)}"
        cells.append((row.cpu, row.pipeline, f"{row.per_second / 1e6:.2f}", f"{ratio:.2f}", spread))
    table = markdown_table(heads, cells)
    return f"Instructions on an emulated CPU (QEMU) to make log-mel frames; these are not times.\n\n{table}"


def as_json(rows: Sequence[InstructionCount]) -> str:
    """Return the counts as JSON, with what they are and where they were taken."""
    described = [{**dataclasses.asdict(row), "per_second": row.per_second, "spread": row.spread} for row in rows]
    return json.dumps(
        {"unit": "instructions on an emulated CPU", "host": platform.machine(), "rows": described}, indent=1
    )
