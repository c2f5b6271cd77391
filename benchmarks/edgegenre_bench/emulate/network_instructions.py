"""Guest instructions of one run of a network on an emulated 64-bit Raspberry Pi; instructions, never times."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from edgegenre_bench.progress import no_progress
from edgegenre_runtime.errors import DataError

from .instruction_counter import count_regions, counter_plugin, guest_folder
from .qemu import cache_folder, prepare, run_python

__all__ = ["count_network", "is_ready", "ready_counter"]


def is_ready(cache: Path | None = None) -> bool:
    """Return whether QEMU, a C compiler and the emulated userland are here, so that counting fetches nothing."""
    folder = cache_folder(cache)
    return all(shutil.which(tool) for tool in ("qemu-aarch64", "cc")) and os.path.exists(folder / "site.stamp")


def ready_counter() -> Callable[[Path], int] | None:
    """Return :func:`count_network` if it is set up (entry point ``edgegenre.instruction_counters``), else None."""
    return count_network if is_ready() else None


def count_network(model: Path, cpu: str = "cortex-a76", cache: Path | None = None) -> int:
    """Return the instructions of one ``invoke()`` of a .tflite with LiteRT's default kernels, one thread.

    Parameters
    ----------
    model
        The file.
    cpu
        Key of :data:`.qemu.CPUS`.
    cache
        Folder of the userland, see :func:`.qemu.cache_folder`; set up if it is not there.

    Raises
    ------
    UsageError
        If a tool is missing or the processor unknown.
    DataError
        If the userland cannot be set up, or XNNPACK does not run the network in it.
    """
    userland = prepare(cache, no_progress)
    with guest_folder(has_library=False) as folder:
        shutil.copy(model, folder / "model.tflite")
        counts, answer = folder / "counts.txt", folder / "answer.json"
        run_python(
            userland,
            cpu,
            ["-m", "edgegenre_bench.emulate.guest.network", folder / "model.tflite", answer],
            path=[folder],
            qemu_options=("-plugin", f"{counter_plugin(userland.cache)},out={counts}"),
        )
        (instructions,) = count_regions(counts.read_text("utf-8"), 1)
        ops = json.loads(answer.read_text("utf-8"))["ops"]
    if "DELEGATE" not in ops and "int8x16" not in model.name:
        raise DataError(f"{model.name} ran without XNNPACK on the emulated {cpu}: its count would mean nothing")
    return instructions
