"""The front-end as firmware on an emulated Cortex-M: the reference's bits, and instructions of a window."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path
from typing import Any

from edgegenre_bench.progress import Progress
from edgegenre_bench.results.device_profiles import Device
from edgegenre_export.package.c_sources import c_files
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError

from .arm64_userland import run_tool
from .build_matrix import TARGETS, Target, music_of, run_matrix
from .estimate import estimate, limit
from .instruction_counter import counter_plugin
from .qemu import cache_folder

__all__ = ["count_firmware"]

_HERE = Path(__file__).parents[1] / "c"
_MUSIC_S = 3.0
_NETWORK = "the network is not run here; its lower bound is taken, which no kernel reaches"


def count_firmware(device: Device, classifier: GenreClassifier, macs: int, progress: Progress) -> dict[str, Any]:
    """Run the front-end of a bundle on a microcontroller's processor.

    Returns
    -------
    dict
        What a result of kind ``emulated`` holds beside its head.

    Raises
    ------
    UsageError
        If the compiler or the emulator is missing.
    DataError
        If it cannot be built or run.
    """
    (target,) = (t for t in TARGETS if t.is_firmware and t.name.startswith(device.emulator_cpu))
    progress(f"the C front-end as firmware on an emulated {device.emulator_cpu}")
    row = run_matrix(music_of((), _MUSIC_S), [target])[1]
    if row.outcome.startswith("not installed"):
        raise UsageError(
            f"{row.outcome}: on Debian run  apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
        )
    if row.outcome.startswith("failed"):
        raise DataError(row.outcome)
    one, three = (_instructions(target, classifier, n) for n in (1, 3))
    mel, spec = (three - one) // 2, classifier.tables.spec
    bound = limit(device, macs, None)
    hop_s = spec.frames_per_window // 2 * spec.hop_samples / spec.sample_rate_hz
    half = mel * 0.5 + bound["instructions"]  # what half a window brings: half the frames, and a run of the network
    return {
        "emulator": {
            "program": run_tool(["qemu-system-arm", "--version"], "qemu-system-arm does not start").splitlines()[0],
            "cpu": device.emulator_cpu,
            "note": device.emulator_note,
            "host": platform.machine(),
        },
        "parity": {
            "windows": 0,
            "clips": 1,
            "music": f"noise and {_MUSIC_S:g} s of toy music, hashed after each push; {row.memory}",
            "frontend_differs": int(row.outcome != "same bits"),
            "network_max_lsb": 0,
            "top1_differs": 0,
            "has_network": False,
        },
        "counts": [{"stage": "mel", "instructions": mel, "spread": 0.0, "runs": 2}],
        "peers_instructions": [],
        "limit": bound,
        "estimate": estimate(device, mel + bound["instructions"], half / hop_s, _NETWORK),
    }


def _instructions(target: Target, classifier: GenreClassifier, n_windows: int) -> int:
    """Return the instructions of firmware that makes ``n_windows`` windows, start-up and all."""
    spec = classifier.tables.spec
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in c_files(classifier.tables).items():
            (folder / Path(file).name).write_bytes(content)
        sources = [str(_HERE / "cost.c"), *map(str, sorted(folder.glob("edgegenre_mel*.c")))]
        shape = [f"-DN_WINDOWS={n_windows}", f"-DHOP_SAMPLES={spec.hop_samples}", f"-DFRAMES={spec.frames_per_window}"]
        program, counts = folder / "cost.elf", folder / "counts.txt"
        build = [*target.compile, "-std=c99", f"-I{folder}", *shape, *sources, "-o", str(program)]
        run_tool([word for word in build if word != "-fstack-usage"], "the firmware that is counted cannot be built")
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        plugin = ["-plugin", f"{counter_plugin(cache)},out={counts}"]
        run_tool([target.run[0], *plugin, *target.run[1:], str(program)], "the firmware that is counted failed")
        totals = [line.split()[1] for line in counts.read_text("utf-8").splitlines() if line.startswith("total")]
    if not totals:
        raise DataError(f"{target.run[0]} reported no instruction count")
    return int(totals[-1])
