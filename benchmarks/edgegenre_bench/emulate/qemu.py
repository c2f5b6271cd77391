"""An emulated 64-bit Raspberry Pi: an arm64 userland in a cache folder, run by qemu-aarch64.

No root, chroot or container: Debian packages are fetched with a private apt state and only unpacked, aarch64 wheels are
fetched by pip, and QEMU redirects the guest's absolute paths into the folder (``-L``). What runs there has the
instructions of the named processor, not its speed.

::

    CACHE/apt/            private apt state and the .deb files
    CACHE/root/           the unpacked arm64 Debian
    CACHE/site/           aarch64 wheels
    CACHE/cpu/NAME/       what -L points at: links into root/, and /proc/cpuinfo and /sys of that processor
    CACHE/*.stamp         the inputs of a finished step; a step is skipped while its stamp matches
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgegenre_bench.progress import Progress, no_progress
from edgegenre_runtime.errors import DataError, UsageError

from .arm64_userland import (
    PACKAGES,
    PEERS,
    WHEELS,
    fetch_packages,
    fetch_wheels,
    guest_python,
    pinned,
    run_tool,
    unpack,
)

__all__ = ["CPUS", "Userland", "cache_folder", "check_tools", "prepare", "prepare_peers", "run_python"]

_TIMEOUT_S = 600
_V80 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"

CPUS: Mapping[str, tuple[str, str]] = {
    "cortex-a53": ("0xd03", _V80),
    "cortex-a72": ("0xd08", _V80),
    "cortex-a76": ("0xd0b", _V82),
}
"""Part number and Linux's feature list by QEMU's name: Pi Zero 2 W and 3 (a53), Pi 4 (a72), Pi 5 (a76)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Userland:
    """A userland that is ready to run.

    Attributes
    ----------
    cache
        Its folder.
    python
        The guest's Python interpreter, e.g. ``…/root/usr/bin/python3.11``.
    """

    cache: Path
    python: Path

    @property
    def site(self) -> Path:
        """The folder with the aarch64 wheels."""
        return self.cache / "site"


def cache_folder(cache: Path | None = None) -> Path:
    """Return the folder asked for, else ``$EDGEGENRE_EMULATE_CACHE``, else ``~/.cache/edgegenre/aarch64``."""
    named = cache if cache is not None else os.environ.get("EDGEGENRE_EMULATE_CACHE")
    return Path(named or "~/.cache/edgegenre/aarch64").expanduser().resolve()


def check_tools(*more: str) -> None:
    """Raise :class:`UsageError`, with the command that installs it, for the first tool that is missing."""
    packages = {"qemu-aarch64": "qemu-user", "apt-get": "apt", "dpkg-deb": "dpkg", "cc": "gcc"}
    packages["aarch64-linux-gnu-gcc"] = "gcc-aarch64-linux-gnu"
    if sys.platform != "linux":
        raise UsageError(f"this is {sys.platform}; emulated boards need Linux (Debian, for its packages and qemu-user)")
    for tool in ("qemu-aarch64", "apt-get", "dpkg-deb", *more):
        if shutil.which(tool) is None:
            raise UsageError(f"emulated boards need {tool}: on Debian run  apt-get install {packages[tool]}")


def prepare(cache: Path | None = None, progress: Progress = no_progress) -> Userland:
    """Set the userland up, or reuse what an earlier run has set up; about 15 s and 400 MB.

    Parameters
    ----------
    cache
        See :func:`cache_folder`.
    progress
        Called with a line before each step that has to be done.

    Raises
    ------
    UsageError
        If a tool is missing, or this is not Linux.
    DataError
        If packages or wheels cannot be fetched, or the folder cannot be written.
    """
    check_tools()
    folder = cache_folder(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            if _is_due(folder, "packages", " ".join(PACKAGES)):
                progress(f"arm64 packages into {folder} (first time only)")
                fetch_packages(folder / "apt")
                _write_stamp(folder, "packages", " ".join(PACKAGES))
            debs = sorted((folder / "apt" / "archives").glob("*.deb"))
            names = "\n".join(deb.name for deb in debs)
            if _is_due(folder, "root", names):
                progress(f"unpacking {len(debs)} packages")
                unpack(debs, folder / "root")
                _write_stamp(folder, "root", names)
            userland = Userland(folder, guest_python(folder / "root"))
            pins = " ".join((userland.python.name, *map(pinned, WHEELS)))
            if _is_due(folder, "site", pins):
                progress(f"aarch64 wheels: {pins.partition(' ')[2]}")
                fetch_wheels(userland.site, userland.python.name.removeprefix("python"), pins.split()[1:])
                _write_stamp(folder, "site", pins)
            for cpu in CPUS:
                _write_cpu_files(folder, cpu)
            if _is_due(folder, "tried", pins):
                progress("first start of the guest's Python")
                imports = "import ctypes, json, numpy, scipy.fft, soundfile, soxr, ai_edge_litert.interpreter"
                run_python(userland, "cortex-a72", ["-c", imports], environment={"PYTHONDONTWRITEBYTECODE": ""})
                _write_stamp(folder, "tried", pins)
    except OSError as error:
        raise DataError(f"{folder}: cannot set up the emulated board there ({error.strerror})") from error
    return userland


def prepare_peers(userland: Userland, progress: Progress = no_progress) -> Path:
    """Fetch the aarch64 wheels of what people would use instead, about 600 MB, or take them as they are.

    Returns
    -------
    Path
        Their folder; it goes after the userland's wheels on the path, since it has other copies of some.
    """
    folder = userland.cache / "peers"
    with _locked(userland.cache / "lock"):
        pins = " ".join((userland.python.name, *map(pinned, (*PEERS, "numpy", "scipy"))))
        if _is_due(userland.cache, "peers", pins):
            progress(f"aarch64 wheels of the peers: {pins.partition(' ')[2]}")
            fetch_wheels(folder, userland.python.name.removeprefix("python"), pins.split()[1:])
            _write_stamp(userland.cache, "peers", pins)
    return folder


def run_python(
    userland: Userland,
    cpu: str,
    argv: Sequence[str | Path],
    *,
    path: Sequence[Path] = (),
    qemu_options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> str:
    """Run the guest's Python and return what it printed.

    Parameters
    ----------
    userland
        What :func:`prepare` returned.
    cpu
        A key of :data:`CPUS`. (QEMU's default, ``max``, computes wrong int8 results.)
    argv
        Arguments of the interpreter: a script and its arguments, or ``-c`` and code. Host paths are visible.
    path
        Folders to import from, before the wheels.
    qemu_options
        Options of qemu-aarch64, such as a plugin.
    environment
        More variables for the guest; it sees no other of this process.
    timeout_s
        Seconds after which it is stopped.

    Raises
    ------
    UsageError
        If the processor is unknown.
    DataError
        If the program fails or takes too long; the message ends with its last line.
    """
    if cpu not in CPUS:
        raise UsageError(f"processor {cpu!r} is unknown; there are: {', '.join(CPUS)}")
    guest = {
        "HOME": "/tmp",  # noqa: S108
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",  # so that every run finds the same
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": ":".join(map(str, (*path, userland.site))),
        **(environment or {}),
    }
    emulator = ("qemu-aarch64", "-seed", "1", "-cpu", cpu, "-L", str(userland.cache / "cpu" / cpu), *qemu_options)
    steady = ("setarch", "-R") if shutil.which("setarch") else ()  # the same addresses in every run, where it is there
    command = [*steady, *emulator, str(userland.python), *map(str, argv)]
    return run_tool(command, f"the program on the emulated {cpu} failed", env=guest, timeout_s=timeout_s)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on the folder."""
    import fcntl  # not on Windows, where check_tools has refused by now

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _is_due(folder: Path, step: str, content: str) -> bool:
    stamp = folder / f"{step}.stamp"
    return not stamp.is_file() or stamp.read_text("utf-8") != content


def _write_stamp(folder: Path, step: str, content: str) -> None:
    (folder / f"{step}.stamp").write_text(content, encoding="utf-8")


def _write_cpu_files(folder: Path, cpu: str) -> None:
    """Make what the guest takes for ``/``: the userland, and four cores of this processor in /proc and /sys."""
    root, system = folder / "cpu" / cpu, folder / "cpu" / cpu / "sys" / "devices" / "system" / "cpu"
    part, features = CPUS[cpu]
    system.mkdir(parents=True, exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    for name in ("possible", "present", "online"):
        (system / name).write_text("0-3\n", encoding="utf-8")
    core = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\n"
    )
    text = "".join(f"processor\t: {index}\n{core}" for index in range(4))
    (root / "proc" / "cpuinfo").write_text(text, encoding="utf-8")
    for entry in (folder / "root").iterdir():
        if entry.name not in ("proc", "sys") and not (root / entry.name).is_symlink():
            (root / entry.name).symlink_to(Path("..", "..", "root", entry.name))
