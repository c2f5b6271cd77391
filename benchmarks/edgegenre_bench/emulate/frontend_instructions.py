"""Guest instructions of the front-end on emulated 64-bit Raspberry Pis: C implementation, NumPy reference and scipy.

Instructions on an emulated CPU are not milliseconds: they do not model caches, memory or how many instructions a core
issues per cycle. They repeat from run to run, and they compare code on a processor that is not available.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import scipy.signal

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_bench.progress import Progress, no_progress
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import FrontendSpec, released
from edgegenre_runtime.inspect.markdown import markdown_table

from .guest.frontend import REGIONS
from .instruction_counter import count_regions, counter_plugin, guest_folder
from .qemu import CPUS, Userland, prepare, run_python

__all__ = ["InstructionCount", "count_all", "format_instructions", "to_json"]


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
        Instructions for the audio, one number per run; each run is a separate process.
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


def _write_job(path: Path, spec: FrontendSpec) -> None:
    """Write one window of seeded toy music, and the float tables of the scipy pipeline."""
    pcm = render(sorted(STYLES)[0], seed=1, seconds=(spec.window_samples + 1) / spec.sample_rate_hz)
    weights = librosa.filters.mel(
        sr=spec.sample_rate_hz, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin_hz, fmax=spec.fmax_hz
    )
    hann = scipy.signal.get_window("hann", spec.n_fft).astype(np.float32)
    np.savez(path, pcm=pcm[: spec.window_samples], hann=hann, weights=np.ascontiguousarray(weights.T, np.float32))


def _count_once(userland: Userland, cpu: str, folder: Path) -> tuple[str, list[int]]:
    """Run the guest once; returns the code that the C implementation chose, and the count of each pipeline."""
    counts, answer = folder / "counts.txt", folder / "answer.json"
    for path in (counts, answer):  # what a folder holds moves the guest's allocations, and with them some counts
        path.unlink(missing_ok=True)
    run_python(
        userland,
        cpu,
        ["-m", "edgegenre_bench.emulate.guest.frontend", folder / "job.npz", answer],
        path=[folder],
        qemu_options=("-plugin", f"{counter_plugin(userland.cache)},out={counts}"),
    )
    facts = json.loads(answer.read_text("utf-8"))
    if not facts["is_same"]:
        raise DataError(
            f"on the emulated {cpu} the C implementation gives other bits than NumPy: run  edgegenre bench matrix"
        )
    return facts["path"], count_regions(counts.read_text("utf-8"), len(REGIONS))


def count_all(
    cpus: Sequence[str],
    cache: Path | None = None,
    repeats: int = 2,
    progress: Progress = no_progress,
) -> list[InstructionCount]:
    """Count every pipeline on every processor.

    Parameters
    ----------
    cpus
        Keys of :data:`.qemu.CPUS`.
    cache
        Folder of the userland, see :func:`.qemu.cache_folder`; set up if it is not there.
    repeats
        Runs of each, 1 or more; each is a separate process.
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
    with guest_folder() as folder:
        userland = prepare(cache, progress)
        _write_job(folder / "job.npz", spec)
        for cpu in cpus:
            progress(f"counting on an emulated {cpu}, {repeats} runs")
            runs = [_count_once(userland, cpu, folder) for _ in range(repeats)]
            for index, pipeline in enumerate(REGIONS):
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


def to_json(rows: Sequence[InstructionCount]) -> str:
    """Return the counts as JSON, with what they are and where they were taken."""
    described = [{**dataclasses.asdict(row), "per_second": row.per_second, "spread": row.spread} for row in rows]
    return json.dumps(
        {"unit": "instructions on an emulated CPU", "host": platform.machine(), "rows": described}, indent=1
    )
