"""``edgegenre bench emulate``: a profile's board emulated, for parity with this machine and for counts of instructions.

Microcontrollers run the front-end alone, in :mod:`.firmware`.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgegenre.toy.dataset import render
from edgegenre.toy.styles import STYLES
from edgegenre_bench.measure.clips import clip_names, read_clip_pcm
from edgegenre_bench.measure.this_machine import result_header
from edgegenre_bench.progress import Progress, no_progress
from edgegenre_bench.results.device_profiles import Device, load_device
from edgegenre_bench.results.result import golden_report
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.golden import read_golden

from .arm64_userland import run_tool
from .estimate import estimate, limit
from .firmware import count_firmware
from .guest import board as guest_board
from .instruction_counter import count_regions, counter_plugin, guest_folder
from .qemu import Userland, prepare, prepare_peers, run_python

__all__ = ["EmulationJob", "emulate_board", "emulated_logits", "has_parity"]

_TIMEOUT_S = 3600
_GOLDEN = "golden"
Music = Mapping[str, "npt.NDArray[np.int16]"]


@dataclasses.dataclass(frozen=True, slots=True)
class EmulationJob:
    """What to emulate.

    Attributes
    ----------
    device
        Name of the profile.
    bundle
        Folder or ``.zip``; the shipped one if None.
    clips
        Audio files for parity, each a window or longer; toy music if there are none.
    windows
        Fewest windows for parity; they overlap as much as it takes.
    repeats
        Counting runs, each a separate process.
    peer_files
        Folder that :func:`edgegenre_bench.measure.peers.timings.write_peer_files` filled; no peers if None.
    yamnet
        YAMNet's ``.tflite``, counted with the peers.
    cache
        See :func:`.qemu.cache_folder`.
    """

    device: str
    bundle: Path | None = None
    clips: Sequence[Path] = ()
    windows: int = 200
    repeats: int = 2
    peer_files: Path | None = None
    yamnet: Path | None = None
    cache: Path | None = None


def emulate_board(job: EmulationJob, command: str = "", progress: Progress = no_progress) -> dict[str, Any]:
    """Emulate a board; returns a result of kind ``emulated``, see :mod:`edgegenre_bench.results.result`.

    Raises
    ------
    UsageError
        If the device is unknown or not emulated, or a tool is missing.
    DataError
        If the userland cannot be set up, or the guest fails.
    """
    device = load_device(job.device)
    if not device.emulator_cpu or job.repeats < 1:
        raise UsageError(f"{job.device} is not emulated, or {job.repeats} runs are too few: see devices/*.toml")
    path = (default_bundle() if job.bundle is None else job.bundle).resolve()
    classifier = GenreClassifier.load(path)
    result = result_header(classifier, "emulated", job.device, command)
    if device.kind == "microcontroller":
        return result | count_firmware(device, classifier, result["bundle"]["macs"], progress)
    music = _music(job.clips, classifier)
    userland = prepare(job.cache, progress)
    with guest_folder() as folder:
        pcm: dict[str, Any] = dict(music)
        pcm |= {f"{_GOLDEN}{i}": one for i, one in enumerate(read_golden(classifier.bundle)["pcm"])}
        np.savez(folder / "pcm.npz", **pcm)
        guest_job = _guest_job(path, folder, job)
        guest_job["hop_frames"] = _hop_for(job.windows, music, classifier)
        progress(f"parity of {len(music)} clips on an emulated {device.emulator_cpu}, this takes a while")
        answers = _run_guest(userland, device, folder, guest_job | {"is_parity": True})
        parity = _parity(answers, music, classifier, guest_job["hop_frames"])
        parity["music"] = f"{len(music)} clips" if job.clips else "toy music"
        result["golden"] = _golden(answers, classifier)
        counted = [_count(userland, device, folder, guest_job, job, progress) for _ in range(job.repeats)]
    return result | {"parity": parity} | _counts(counted, device, result, classifier)


def emulated_logits(job: EmulationJob, cells: npt.NDArray[np.int8], progress: Progress) -> npt.NDArray[np.int8]:
    """Run a bundle's network on an emulated board, int8 [N, n_mels, frames] to logits int8 [N, C]; errors as above."""
    device = load_device(job.device)
    if device.kind == "microcontroller" or not device.emulator_cpu:
        raise UsageError(f"{job.device} is not emulated with a network: choose another device")
    userland = prepare(job.cache, progress)
    with guest_folder() as folder:
        np.save(folder / "cells.npy", cells)
        path = (default_bundle() if job.bundle is None else job.bundle).resolve()
        guest_job = _guest_job(path, folder, job) | {"cells": str(folder / "cells.npy")}
        progress(f"{len(cells)} windows on an emulated {device.emulator_cpu}, this takes a while")
        logits: npt.NDArray[np.int8] = _run_guest(userland, device, folder, guest_job)["logits"]
    return logits


def has_parity(result: dict[str, Any]) -> bool:
    """Whether an emulated board agrees: its front-end to the bit, its logits to one step, and every top class."""
    parity = result["parity"]
    return bool(parity["frontend_differs"] == 0 and parity["network_max_lsb"] <= 1 and parity["top1_differs"] == 0)


def _music(clips: Sequence[Path], classifier: GenreClassifier) -> dict[str, npt.NDArray[np.int16]]:
    spec = classifier.tables.spec
    if not clips:
        return {style: render(style, seed=1, seconds=4 * spec.window_s) for style in sorted(STYLES)}
    return {f"clip {name}": read_clip_pcm(path, spec) for path, name in zip(clips, clip_names(clips), strict=True)}


def _hop_for(windows: int, music: Music, classifier: GenreClassifier) -> int:
    """Return the frames from window to window, half a window at most, that give enough windows."""
    spec = classifier.tables.spec
    spare = [spec.n_frames(len(pcm)) - spec.frames_per_window for pcm in music.values()]
    for hop in range(spec.frames_per_window // 2, 0, -1):
        if sum(frames // hop + 1 for frames in spare) >= windows:
            return hop
    raise UsageError(f"the music is too short for {windows} windows: give more clips")


def _guest_job(bundle: Path, folder: Path, job: EmulationJob) -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "pcm": str(folder / "pcm.npz"),
        "cells": "",
        "is_parity": False,
        "is_counted": False,
        "peers": "",
        "libraries": [],
        "yamnet": str(job.yamnet.resolve()) if job.yamnet is not None else "",
    }


def _run_guest(
    userland: Userland,
    device: Device,
    folder: Path,
    guest_job: dict[str, Any],
    options: Sequence[str] = (),
    more: str = "",
) -> dict[str, npt.NDArray[Any]]:
    """Run the guest on a job and return the arrays that it wrote; ``more`` is a folder to import from, last."""
    answer, job_file = folder / "answer.npz", folder / "job.json"
    answer.unlink(missing_ok=True)  # what a folder holds moves the guest's allocations, and with them some counts
    job_file.write_text(json.dumps(guest_job), encoding="utf-8")
    environment = {"NUMBA_CACHE_DIR": str(userland.cache / "numba")}
    if more:
        environment["PYTHONPATH"] = f"{folder}:{userland.site}:{more}"
    argv: list[str | Path] = ["-m", "edgegenre_bench.emulate.guest.board", job_file, answer]
    run_python(
        userland,
        device.emulator_cpu,
        argv,
        path=[folder],
        qemu_options=options,
        environment=environment,
        timeout_s=_TIMEOUT_S,
    )
    with np.load(answer, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts = json.loads(str(arrays["facts"]))
    if facts["path"] != "neon" or not facts["has_delegate"]:
        raise DataError(
            f"the emulated board ran {facts['path']} code, XNNPACK: {facts['has_delegate']}; unlike the board"
        )
    return arrays


def _parity(
    answers: Mapping[str, npt.NDArray[Any]], music: Music, classifier: GenreClassifier, hop_frames: int
) -> dict[str, Any]:
    """Compare the guest's frames, windows and logits with this machine's."""
    windows = differs = largest = other_top = 0
    for name, pcm in music.items():
        there = [answers[f"{name}/{part}"] for part in ("frames", "cells", "logits")]
        frames, cells, logits = guest_board.clip_answers(classifier, pcm, hop_frames)
        if [part.shape for part in there] != [frames.shape, cells.shape, logits.shape]:
            raise DataError(f"{name}: the emulated board computed another number of frames or windows")
        differs += int((there[0] != frames).sum()) + int((there[1] != cells).sum())
        largest = max(largest, int(np.abs(there[2].astype(int) - logits).max()))
        other_top += int((there[2].argmax(axis=1) != logits.argmax(axis=1)).sum())
        windows += len(cells)
    return {
        "windows": windows,
        "clips": len(music),
        "frontend_differs": differs,
        "network_max_lsb": largest,
        "top1_differs": other_top,
        "has_network": True,
    }


def _golden(answers: Mapping[str, npt.NDArray[Any]], classifier: GenreClassifier) -> dict[str, Any]:
    golden = read_golden(classifier.bundle)
    pieces = []
    for index in range(len(golden["pcm"])):
        frames, cells, logits = (answers[f"{_GOLDEN}{index}/{part}"] for part in ("frames", "cells", "logits"))
        pieces.append((frames, cells[0], logits[0]))
    return golden_report(golden, pieces)


def _count(
    userland: Userland, device: Device, folder: Path, guest_job: dict[str, Any], job: EmulationJob, progress: Progress
) -> tuple[list[int], list[dict[str, Any]]]:
    """Count every region once, in a separate process; returns the counts, and name and audio of each peer."""
    more, guest_job = "", guest_job | {"is_counted": True}
    if job.peer_files is not None:
        more = str(prepare_peers(userland, progress))
        guest_job |= {"peers": str(job.peer_files), "libraries": ["librosa", "onnxruntime"]}
    progress(f"counting on an emulated {device.emulator_cpu}")
    counts = folder / "counts.txt"
    counts.unlink(missing_ok=True)
    plugin = ("-plugin", f"{counter_plugin(userland.cache)},out={counts}")
    facts = json.loads(str(_run_guest(userland, device, folder, guest_job, plugin, more)["facts"]))
    n_regions = len(guest_board.STAGES) + 3 * len(facts["peers"])
    return count_regions(counts.read_text("utf-8"), n_regions), facts["peers"]


def _counts(
    runs: Sequence[tuple[list[int], list[dict[str, Any]]]],
    device: Device,
    result: dict[str, Any],
    classifier: GenreClassifier,
) -> dict[str, Any]:
    """Return what a result holds of the counting runs: means, spreads, peers, the limit and the estimate."""
    spec, table = classifier.tables.spec, np.array([counts for counts, _ in runs])
    streamed_s = guest_board.STREAM_HOPS * (spec.frames_per_window // 2) * spec.hop_samples / spec.sample_rate_hz
    rows = []
    for index, stage in enumerate(guest_board.STAGES):
        n, spread = table[:, index].mean(), float(table[:, index].max() / table[:, index].min() - 1)
        is_stream = stage == "stream"
        name = "stream_second" if is_stream else stage
        count = round(n / streamed_s) if is_stream else round(n)
        rows.append({"stage": name, "instructions": count, "spread": spread, "runs": len(runs)})
    peers = []
    for index, peer in enumerate(runs[0][1]):
        first = len(guest_board.STAGES) + 3 * index
        mel, network, window = table[:, first : first + 3].mean(axis=0).tolist()
        peers.append(
            {"name": peer["name"], "mel": mel, "network": network, "window": window, "audio_s": peer["audio_s"]}
        )
    by_stage = {row["stage"]: row["instructions"] for row in rows}
    return {
        "emulator": {
            "program": run_tool(["qemu-aarch64", "--version"], "qemu-aarch64 does not start").splitlines()[0],
            "cpu": device.emulator_cpu,
            "note": device.emulator_note,
            "host": platform.machine(),
        },
        "counts": rows,
        "peers_instructions": peers,
        "limit": limit(device, result["bundle"]["macs"], by_stage["network"]),
        "estimate": estimate(device, by_stage["end_to_end"], by_stage["stream_second"], ""),
    }
