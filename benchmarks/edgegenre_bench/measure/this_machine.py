"""``edgegenre bench run``: one plan on this machine, into one result; it needs the base install alone."""

from __future__ import annotations

import datetime
import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre_bench.progress import Progress, no_progress
from edgegenre_bench.results.device_profiles import detect_device, load_device
from edgegenre_bench.results.result import FORMAT_VERSION, MODEL, bundle_facts, replay_golden
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import Clip, log_mel, normalize
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.golden import read_golden
from edgegenre_runtime.network.interpreters import TfliteModel, has_interpreter
from edgegenre_runtime.printable import printable

from .accuracy import measure_accuracy
from .fresh_process import run_child
from .machine import machine_facts, machine_state, software_versions
from .plan import Plan
from .timing import time_in_turn, yardstick

__all__ = ["measure_machine", "result_header"]

_FILE_S = 10


def result_header(classifier: GenreClassifier, kind: str, device: str, command: str) -> dict[str, Any]:
    """Return the keys that every result has; see :mod:`edgegenre_bench.results.result`."""
    return {
        "format": "edgegenre-bench",
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "device": device,
        "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": printable(command),
        "bundle": bundle_facts(classifier.bundle, inspect_tflite(classifier.bundle.read(MODEL)).n_macs),
        "golden": replay_golden(classifier),
    }


def measure_machine(
    plan: Plan,
    *,
    bundle: Path | None = None,
    device: str = "",
    data: Path | None = None,
    part: str = "test",
    command: str = "",
    peers: Callable[[GenreClassifier], list[dict[str, Any]]] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run a plan.

    Parameters
    ----------
    plan
        How much is measured.
    bundle
        Folder or ``.zip``; the shipped one if None.
    device
        Name of the profile; found by itself if empty.
    data, part
        Evaluation set, see :func:`.accuracy.measure_accuracy`; without one there is no accuracy.
    command
        What the user typed.
    peers
        Times the peers in this process, after the rest.
    progress
        Called with a line before each part.

    Returns
    -------
    dict
        A result of kind ``measured``, see :mod:`edgegenre_bench.results.result`.

    Raises
    ------
    UsageError
        If the device is unknown, or of another architecture than this machine.
    """
    machine, device = machine_facts(), device or detect_device()
    if device and (claimed := load_device(device).architecture) != machine["architecture"]:
        raise UsageError(f"{device} is {claimed}, this machine {machine['architecture']}: leave --device out")
    path = (default_bundle() if bundle is None else bundle).resolve()
    classifier = GenreClassifier.load(path)
    before = machine_state()
    progress(f"stages: {plan.warm_up + plan.repeats} rounds with {', '.join(map(str, plan.threads))} threads")
    stages = _stages(classifier, path, plan)
    progress("fresh processes: cold start and memory")
    cold, rss_mb = _cold_start(path, plan, classifier)
    growth, stream = _growth(path, plan, classifier, progress)
    accuracy = None
    if data is not None:
        progress(f"accuracy on {data}")
        accuracy = measure_accuracy(classifier, data, part, plan.max_tracks)
    if peers is not None:
        progress("peers, in turn with this project")
    return result_header(classifier, "measured", device, command) | {
        "plan": plan.name,
        "machine": machine,
        "versions": software_versions(classifier),
        "before": before,
        "stages": stages,
        "windows_per_s": next(1e3 / row["p50_ms"] for row in stages if row["stage"] == "end_to_end"),
        "stream": stream,
        "cold_start": cold,
        "rss_mb": rss_mb,
        "accuracy": accuracy,
        "peers_ms": [] if peers is None else peers(classifier),
        "growth": growth,
        "after": machine_state(),
    }


def _stages(classifier: GenreClassifier, bundle: Path, plan: Plan) -> list[dict[str, Any]]:
    """Time mel (PCM to the cells of a window), the network, both with the answer, and LiteRT, in turn."""
    pcm, tables = read_golden(classifier.bundle)["pcm"][0], classifier.tables
    clip, cells = Clip(pcm, classifier.rate_hz), _cells(pcm, classifier)
    pipelines: dict[tuple[str, int], Callable[[], object]] = {
        ("yardstick", 1): yardstick(),
        ("mel", 1): lambda: normalize(log_mel(pcm, tables).frames_q9, tables),
    }
    for threads in plan.threads:
        loaded = GenreClassifier.load(bundle, threads)
        pipelines["network", threads] = lambda loaded=loaded: loaded.outputs(cells)  # type: ignore[misc]
        pipelines["end_to_end", threads] = lambda loaded=loaded: loaded.predict_clip(clip)  # type: ignore[misc]
        if has_interpreter():
            litert = TfliteModel(classifier.bundle.read(MODEL), threads=threads)
            run = functools.partial(litert.run, cells[None, :, :, None])
            pipelines["network_litert", threads] = run
    return [asdict(timing) for timing in time_in_turn(pipelines, plan.warm_up, plan.repeats)]


def _cells(pcm: npt.NDArray[np.int16], classifier: GenreClassifier) -> npt.NDArray[np.int8]:
    window = normalize(log_mel(pcm, classifier.tables).frames_q9, classifier.tables)
    if window.is_silence:
        raise DataError(
            f"{classifier.bundle.root}: its first golden piece is silence, on which a network cannot be timed"
        )
    return window.cells


def _cold_start(bundle: Path, plan: Plan, classifier: GenreClassifier) -> tuple[dict[str, Any], float]:
    hop = classifier.tables.spec.frames_per_window // 2
    rows = [
        run_child({"bundle": str(bundle), "audio_s": 30, "hop_frames": hop}) for _ in range(max(plan.cold_starts, 1))
    ]
    cold = {key: float(np.median([row[key] for row in rows])) for key in ("imports_ms", "load_ms", "first_answer_ms")}
    return {"processes": len(rows), **cold}, max(row["rss_mb"] for row in rows)


def _growth(
    bundle: Path, plan: Plan, classifier: GenreClassifier, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Measure time and memory against length, window hop and files, each in a fresh process, and the plain stream."""
    half, rows = classifier.tables.spec.frames_per_window // 2, []

    def listen(axis: str, value: int, audio_s: int, hop_frames: int) -> dict[str, Any]:
        progress(f"growth: {audio_s} s of audio, a window every {hop_frames} frames")
        done = run_child({"bundle": str(bundle), "audio_s": audio_s, "hop_frames": hop_frames})
        return _row(axis, value, audio_s, done)

    rows += [listen("length_s", length, length, half) for length in plan.growth.lengths_s]
    rows += [listen("hop_frames", hop, plan.stream_s, hop) for hop in plan.growth.hops_frames]
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(Path(folder), classifier, max(plan.growth.files, default=0))
        for n in plan.growth.files:
            progress(f"growth: {n} files of {_FILE_S} s")
            done = run_child({"bundle": str(bundle), "files": files[:n]})
            rows.append(_row("files", n, n * _FILE_S, done))
    plain = listen("stream", plan.stream_s, plan.stream_s, half)
    factor = plain["wall_s"] / plain["audio_s"]
    return rows, {"audio_s": plain["audio_s"], "wall_s": plain["wall_s"], "real_time_factor": factor}


def _row(axis: str, value: int, audio_s: float, done: dict[str, Any]) -> dict[str, Any]:
    return {"axis": axis, "value": value, "audio_s": audio_s, "wall_s": done["wall_s"], "rss_mb": done["rss_mb"]}


def _write_files(folder: Path, classifier: GenreClassifier, n: int) -> Sequence[str]:
    """Write files of ten seconds, cut at different places from the golden pieces."""
    music = np.resize(read_golden(classifier.bundle)["pcm"].reshape(-1), 2 * _FILE_S * classifier.rate_hz)
    names = []
    for index in range(n):
        start = index * 997 % (_FILE_S * classifier.rate_hz)
        names.append(str(folder / f"{index:04}.wav"))
        soundfile.write(names[-1], music[start : start + _FILE_S * classifier.rate_hz], classifier.rate_hz)
    return names
