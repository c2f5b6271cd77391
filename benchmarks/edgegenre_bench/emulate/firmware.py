"""The whole chain as firmware on an emulated Cortex-M: the golden logits, and the instructions of each stage."""

from __future__ import annotations

import platform
import re
import tempfile
from pathlib import Path
from typing import Any

from edgegenre_bench.progress import Progress
from edgegenre_bench.results.device_profiles import Device
from edgegenre_export.package.board import Board, board_files, find_board
from edgegenre_export.package.c_sources import write_folder
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError

from .arm64_userland import run_tool
from .estimate import estimate, limit
from .instruction_counter import counter_plugin
from .qemu import cache_folder

__all__ = ["count_firmware", "run_firmware"]

_STAGES = ("mel", "music", "network")
_PLAIN = ("-DEDGEGENRE_MEL_PORTABLE", "-DEDGEGENRE_NET_PORTABLE")
_PLAIN_NOTE = "plain C, compiled for an ARM core without its DSP instructions"


def count_firmware(device: Device, classifier: GenreClassifier, macs: int, progress: Progress) -> dict[str, Any]:
    """Run front-end and network of a bundle on a microcontroller's processor.

    A processor that is no ARM is counted in plain C: its own instructions are not emulated.

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
    board, is_arm = find_board(device.emulator_cpu), device.architecture.startswith("arm")
    options = () if is_arm else _PLAIN
    progress(f"the whole chain as firmware on an emulated {board.name}")
    once = run_firmware(classifier, board, options)
    stages = {}
    for stage in _STAGES:
        thrice = run_firmware(classifier, board, (*options, f"-DREPEAT_{stage.upper()}=3"))
        stages[stage] = (thrice["total"] - once["total"]) // 2
    mel, music, network = stages.values()
    spec = classifier.tables.spec
    hop_s = spec.frames_per_window // 2 * spec.hop_samples / spec.sample_rate_hz
    half = mel * 0.5 + music + network  # what half a window brings: half the frames, and a run of the others
    memory = f"RAM {once['ram']} B + stack {once['stack']} B, flash {once['flash']} B"
    return {
        "emulator": {
            "program": run_tool(["qemu-system-arm", "--version"], "qemu-system-arm does not start").splitlines()[0],
            "cpu": device.emulator_cpu,
            "note": device.emulator_note,
            "host": platform.machine(),
        },
        "parity": {
            "windows": 1,
            "clips": 1,
            "music": f"a golden piece through the whole chain; {memory}",
            "frontend_differs": 0,
            "network_max_lsb": 0,
            "top1_differs": 0,
            "has_network": True,
        },
        "counts": [
            {"stage": stage, "instructions": counted, "spread": 0.0, "runs": 2}
            for stage, counted in (stages | {"end_to_end": mel + music + network}).items()
        ],
        "peers_instructions": [],
        "limit": limit(device, macs, network),
        "estimate": estimate(device, mel + music + network, half / hop_s, "" if is_arm else _PLAIN_NOTE),
    }


def run_firmware(classifier: GenreClassifier, board: Board, options: tuple[str, ...]) -> dict[str, Any]:
    """Build the folder that ``edgegenre codegen c --board`` writes, run it, and count its instructions.

    Returns
    -------
    dict
        ``genre``; ``total``, the instructions of the whole run; ``ram``, ``stack`` and ``flash`` in bytes.

    Raises
    ------
    UsageError, DataError
        As :func:`count_firmware`; also if the logits are not the golden ones.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "firmware"
        write_folder(folder, board_files(classifier.bundle, board))
        sources = sorted(str(path) for path in folder.glob("*.c"))
        build = [*board.compile, *options, f"-L{folder}", *sources, "-o", str(folder / "firmware.elf")]
        try:
            run_tool(build, "the firmware cannot be built")
            flash = sum(map(int, _sizes(folder / "firmware.elf")[:2]))
            cache = cache_folder()
            cache.mkdir(parents=True, exist_ok=True)
            plugin = ["-plugin", f"{counter_plugin(cache)},out={folder / 'counts.txt'}"]
            printed = run_tool([board.run[0], *plugin, *board.run[1:], str(folder / "firmware.elf")], "it does not run")
        except FileNotFoundError as error:
            raise UsageError(
                f"{error.filename} is missing: on Debian run  apt-get install gcc-arm-none-eabi "
                "libnewlib-arm-none-eabi qemu-system-arm"
            ) from error
        found = dict(re.findall(r"(\w+)=(\S+)", printed))
        totals = re.findall(r"total (\d+)", (folder / "counts.txt").read_text("utf-8"))
    if found.get("golden") != "same" or not totals:
        raise DataError(f"firmware on {board.name} did not give the golden logits: {printed.strip()[:200]}")
    return {
        "genre": found["genre"],
        "path": found["path"],
        "total": int(totals[-1]),
        "ram": int(found["ram"]),
        "stack": int(found["stack"]),
        "flash": flash,
    }


def _sizes(program: Path) -> list[str]:
    """Return text, data and bss of a program, bytes."""
    return run_tool(["arm-none-eabi-size", str(program)], "the firmware's sizes are not known").splitlines()[1].split()
