"""The machine's hardware and state: governor, clock, temperature, throttling; what cannot be read is None."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import MelStream

__all__ = ["largest_rss_mb", "machine_facts", "machine_state", "software_versions"]

_CPU = Path("/sys/devices/system/cpu")
_DISTRIBUTIONS = ("ai-edge-litert", "edgegenre", "numpy", "soundfile", "soxr")


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \n") or None
    except OSError:
        return None


def _found(pattern: str, text: str | None) -> str | None:
    match = re.search(pattern, text or "", re.MULTILINE)
    return match[1].strip() if match else None


def machine_facts() -> dict[str, Any]:
    """Return model, processor, cores, memory and system, JSON-ready; what cannot be read is None."""
    cpuinfo = _text(Path("/proc/cpuinfo"))
    ram_kb = _found(r"^MemTotal:\s*(\d+) kB", _text(Path("/proc/meminfo")))
    return {
        "architecture": platform.machine(),
        "model": _text(Path("/proc/device-tree/model")),
        "cpu": _found(r"^model name\s*:\s*(.+)$", cpuinfo) or _found(r"^CPU part\s*:\s*(.+)$", cpuinfo),
        "cores": os.cpu_count() or 1,
        "ram_mb": round(int(ram_kb) * 1.024e-3) if ram_kb else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def machine_state() -> dict[str, Any]:
    """Return governor, clock in MHz, hottest sensor in °C, throttling and load, each None where it cannot be read."""
    governor = _text(_CPU / "cpu0/cpufreq/scaling_governor")
    clock_khz = _text(_CPU / "cpu0/cpufreq/scaling_cur_freq")
    sensors = [_text(path) for path in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    celsius = [int(text) / 1000 for text in sensors if text and text.lstrip("-").isdigit()]
    return {
        "governor": governor,
        "clock_mhz": int(clock_khz) / 1000 if clock_khz and clock_khz.isdigit() else None,
        "temperature_c": max(celsius, default=None),
        "throttled": _throttled(),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _throttled() -> str | None:
    """Return the flags of a Raspberry Pi's firmware (``0x0`` is none since boot), or the count of Intel's kernel."""
    tool = shutil.which("vcgencmd")
    if tool is not None:
        done = subprocess.run([tool, "get_throttled"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
        return _found(r"throttled=(\S+)", done.stdout)
    counts = [_text(path) for path in sorted(_CPU.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))]
    return " ".join(text for text in counts if text) or None


def software_versions(classifier: GenreClassifier) -> dict[str, str]:
    """Return the versions of the libraries, the front-end's instruction set and what runs the network."""
    found = {"frontend": MelStream(classifier.tables).path, "network": classifier.backend.name}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def largest_rss_mb() -> float:
    """Return the largest resident memory that this process had, in MB (10**6 bytes).

    Linux's own count starts at zero with each program; ``getrusage`` would inherit the parent's.
    """
    kib = _found(r"^VmHWM:\s*(\d+) kB", _text(Path("/proc/self/status")))
    if kib is None:
        import resource  # not on Windows

        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return int(kib) * 1024 / 1e6
