"""Guest instructions of learning a genre from one track, on an emulated 64-bit Raspberry Pi; see docs/learn.md."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgegenre_bench.progress import no_progress

from .instruction_counter import count_regions, counter_plugin, guest_folder
from .qemu import prepare, run_python

__all__ = ["LearningCost", "count_learning"]


@dataclasses.dataclass(frozen=True, slots=True)
class LearningCost:
    """Instructions of a track: of its windows' embeddings, and of the class made of them; what ran the network."""

    embed: int
    learn: int
    windows: int
    backend: str


def count_learning(bundle: Path, pcm: npt.NDArray[np.int16], cpu: str, cache: Path | None = None) -> LearningCost:
    """Count the instructions of learning from one track.

    Parameters
    ----------
    bundle
        A bundle's folder.
    pcm
        The track, int16 mono at the bundle's rate.
    cpu
        Key of :data:`.qemu.CPUS`.
    cache
        Folder of the userland, see :func:`.qemu.cache_folder`; set up if it is not there.

    Raises
    ------
    UsageError
        If a tool is missing or the processor unknown.
    DataError
        If the userland cannot be set up.
    """
    userland = prepare(cache, no_progress)
    with guest_folder() as folder:
        shutil.copytree(bundle, folder / "bundle")
        np.save(folder / "track.npy", pcm)
        counts, answer = folder / "counts.txt", folder / "answer.json"
        run_python(
            userland,
            cpu,
            ["-m", "edgegenre_bench.emulate.guest.learning", folder / "bundle", folder / "track.npy", answer],
            path=[folder],
            qemu_options=("-plugin", f"{counter_plugin(userland.cache)},out={counts}"),
        )
        embed, learn = count_regions(counts.read_text("utf-8"), 2)
        found = json.loads(answer.read_text("utf-8"))
    return LearningCost(embed, learn, found["windows"], found["backend"])
