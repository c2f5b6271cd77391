"""Device profiles, ``devices/*.toml``: a board's hardware, its budget, and the source of each fact."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

from edgegenre_runtime.errors import UsageError

from .schema import validate_packaged
from .toml_reader import read_toml

__all__ = ["Budget", "Device", "detect_device", "device_names", "devices_folder", "load_device"]

_MODEL_FILE = Path("/proc/device-tree/model")


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """A device's budget.

    Attributes
    ----------
    window_p99_ms
        Time from a window's PCM to its answer, 99th percentile, in ms.
    rss_mb
        Largest resident memory of the process, in MB (10**6 bytes); the RAM of a microcontroller.
    model_kb
        Size of ``model_int8.tflite`` in kB (1000 bytes).
    real_time_factor
        Processing time over the audio's duration, listening with half-overlapping windows.
    """

    window_p99_ms: float
    rss_mb: float
    model_kb: float
    real_time_factor: float


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """One profile.

    Attributes
    ----------
    name
        Stem of its file.
    title
        What tables call it.
    detect
        How ``/proc/device-tree/model`` begins on it.
    kind
        ``linux``, ``microcontroller`` or ``phone``.
    cpu_name, architecture
        Its processor, and what ``platform.machine()`` says there.
    cores
        Processor cores.
    clock_mhz
        Clock of the core that runs the network, in MHz.
    ram_mb
        Memory in MB.
    emulator_cpu, emulator_note
        QEMU's name of the processor, empty where it is not emulated, and a remark on it.
    int8_instruction
        The instruction with the most int8 multiply-adds.
    macs_per_instruction
        How many it does.
    instructions_per_cycle
        Assumed for estimates; an assumption, not a measurement.
    budget
        Its budget.
    """

    name: str
    title: str
    detect: tuple[str, ...]
    kind: str
    cpu_name: str
    architecture: str
    cores: int
    clock_mhz: float
    ram_mb: float
    emulator_cpu: str
    emulator_note: str
    int8_instruction: str
    macs_per_instruction: int
    instructions_per_cycle: float
    budget: Budget

    def estimate_ms(self, instructions: float) -> float:
        """Return instructions ÷ (IPC × clock), in ms: an estimate by the profile's assumption."""
        return instructions / (self.instructions_per_cycle * self.clock_mhz * 1e3)


def devices_folder() -> Path:
    """Return the folder of the profiles: in the installed package, or ``devices`` of a checkout."""
    installed = Path(__file__).parents[1] / "profiles"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "devices"


def device_names() -> list[str]:
    """Return the names of all profiles, sorted."""
    return sorted(path.stem for path in devices_folder().glob("*.toml"))


def load_device(name: str) -> Device:
    """Read a profile.

    Raises
    ------
    UsageError
        If there is none of this name.
    DataError
        If the file cannot be read, or does not fit ``schemas/device.schema.json``.
    """
    if name not in device_names():
        raise UsageError(f"device {name!r} is unknown; there are: {', '.join(device_names())}")
    path = devices_folder() / f"{name}.toml"
    content = read_toml(path)
    validate_packaged(content, "device", path.name)
    cpu, budget = content["cpu"], Budget(**{k: v for k, v in content["budget"].items() if k != "source"})
    return Device(
        name=name,
        title=content["title"],
        detect=tuple(content["detect"]),
        kind=content["kind"],
        cpu_name=cpu["name"],
        architecture=cpu["architecture"],
        cores=cpu["cores"],
        clock_mhz=cpu["clock_mhz"],
        ram_mb=cpu["ram_mb"],
        emulator_cpu=content["emulator"]["cpu"],
        emulator_note=content["emulator"]["note"],
        int8_instruction=content["int8"]["instruction"],
        macs_per_instruction=content["int8"]["macs_per_instruction"],
        instructions_per_cycle=content["estimate"]["instructions_per_cycle"],
        budget=budget,
    )


def detect_device() -> str:
    """Return the name of this machine's profile, or an empty text if there is none for it."""
    model = _MODEL_FILE.read_bytes().rstrip(b"\0").decode("utf-8", "replace") if _MODEL_FILE.exists() else ""
    for name in device_names():
        if model and model.startswith(load_device(name).detect):
            return name
    return "x86-64" if platform.machine() == "x86_64" else ""
