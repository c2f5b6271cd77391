"""``edgegenre-run --doctor``: what this machine has and whether it keeps up, in a few lines and a verdict."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgegenre_runtime.errors import MicrophoneError
from edgegenre_runtime.frontend import Clip
from edgegenre_runtime.frontend.implementation import MelStream, active_implementation
from edgegenre_runtime.network.bundle_names import installed_bundles, user_folder
from edgegenre_runtime.network.classifier import GenreClassifier

__all__ = ["examine"]

_FEATURES = ("avx2", "avx512f", "avx_vnni", "asimd", "asimddp", "i8mm", "neon", "sve")
_ENOUGH_BYTES = 150 << 20
_THROTTLED = {0: "under-voltage now", 2: "throttled now", 16: "under-voltage since the start", 18: "throttled before"}


def examine(classifier: GenreClassifier) -> Iterator[str]:
    """Yield one line per finding, and the verdict last.

    The real-time factor is the time that one second of audio takes: its mel frames and one run of the network, on the
    threads that were asked for.
    """
    spec = classifier.tables.spec
    implementation = active_implementation()
    path = f", {MelStream(classifier.tables).path}" if implementation == "c" else ""
    faults: list[str] = []
    yield f"edgegenre     {version('edgegenre')}, Python {platform.python_version()}, numpy {np.__version__}"
    yield f"machine       {platform.machine()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores"
    yield f"processor     {_processor()}"
    yield f"front-end     {implementation}{path} ({spec.name}, hash {classifier.tables.spec_hash[:12]})"
    yield f"interpreter   {classifier.backend.name}, {classifier.threads} thread(s)"
    yield f"bundle        {_shown(classifier.bundle.root)}, {len(classifier.labels)} classes"
    yield f"by name       {', '.join(installed_bundles())} (others go into {_shown(user_folder())})"
    yield from _microphones(faults)
    yield from _heat(faults)
    yield from _memory(faults)
    factor = _real_time_factor(classifier)
    yield f"real time     {factor:.4f} of the time there is, with one answer per second"
    if factor > 0.5:
        faults.append("too slow for one answer per second: give a longer --every")
    yield "verdict       " + ("ready" if not faults else "; ".join(faults))


def _shown(path: Path) -> str:
    """Return a path for people who post it: the user's name, which is their home's, is left out."""
    home = os.path.expanduser("~")
    is_below = home != "/" and path.is_relative_to(home)
    return str(Path("~") / path.relative_to(home)) if is_below else str(path)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or "unknown"
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    words = (fields.get("flags") or fields.get("features") or "").split()
    name = fields.get("model name") or fields.get("model") or f"CPU part {fields.get('cpu part', 'unknown')}"
    return f"{name}; {' '.join(w for w in _FEATURES if w in words) or 'no vector instructions known'}"


def _microphones(faults: list[str]) -> Iterator[str]:
    from edgegenre_runtime.live.microphone import microphones, rates_hz

    try:
        found = microphones()
    except MicrophoneError as error:
        faults.append("no microphone can be used (files and pipes can)")
        yield f"microphones   {error}"
        return
    for info in found:
        rates = list(rates_hz(info))
        yield f"microphone    {info.name}: {', '.join(map(str, rates)) + ' Hz' if rates else 'does not open'}"
    if not found:
        faults.append("no microphone is there (files and pipes work)")
        yield "microphones   none"
    yield from _permission(faults)


def _permission(faults: list[str]) -> Iterator[str]:
    devices = sorted(Path("/dev/snd").glob("pcm*c")) if Path("/dev/snd").is_dir() else []
    closed = [device.name for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        faults.append("this user may not record: run  sudo usermod -aG audio $USER  and log in again")
        yield f"permissions   no access to /dev/snd/{closed[0]}"
    else:
        yield f"permissions   {len(devices)} recording devices in /dev/snd, all open to this user"


def _heat(faults: list[str]) -> Iterator[str]:
    try:
        degrees = int(Path("/sys/class/thermal/thermal_zone0/temp").read_text("ascii")) / 1000
        yield f"temperature   {degrees:.0f} °C"
        if degrees >= 80:
            faults.append("too hot: the processor slows down at 80 °C")
    except (OSError, ValueError):
        yield "temperature   unknown"
    try:
        flags = int(Path("/sys/devices/platform/soc/soc:firmware/get_throttled").read_text("ascii"), 16)
    except (OSError, ValueError):
        return
    states = [words for bit, words in _THROTTLED.items() if flags >> bit & 1]
    yield f"throttling    {', '.join(states) or 'none'}"
    if flags & 0b101:
        faults.append("throttled: check the power supply and the cooling")


def _memory(faults: list[str]) -> Iterator[str]:
    try:
        text = Path("/proc/meminfo").read_text("ascii")
        free = int(text.split("MemAvailable:")[1].split()[0]) << 10
    except (OSError, ValueError, IndexError):
        yield "memory        unknown"
        return
    yield f"memory        {free >> 20} MiB available"
    if free < _ENOUGH_BYTES:
        faults.append("little memory: some 100 MiB are needed")


def _real_time_factor(classifier: GenreClassifier) -> float:
    """Return the seconds that a second of audio takes, the better of three measurements."""
    spec = classifier.tables.spec
    noise = np.random.default_rng(0).integers(-3000, 3000, spec.window_samples).astype(np.int16)
    second = noise[: spec.sample_rate_hz]
    classifier.predict_clip(Clip(noise, spec.sample_rate_hz))  # first run: caches, kernels
    cells = np.zeros((spec.n_mels, spec.frames_per_window), np.int8)
    factors = []
    for _ in range(3):
        stream = MelStream(classifier.tables)
        began = time.perf_counter()
        stream.push(second)
        classifier.outputs(cells)
        factors.append(time.perf_counter() - began)
    return min(factors)
