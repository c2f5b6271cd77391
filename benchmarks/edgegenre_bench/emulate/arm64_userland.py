"""The steps that set up an arm64 userland: Debian packages with a private apt state, and aarch64 wheels.

:mod:`.qemu` does them in order, each once.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgegenre_runtime.errors import DataError, UsageError, install_command

__all__ = [
    "PACKAGES",
    "PEERS",
    "WHEELS",
    "fetch_packages",
    "fetch_wheels",
    "guest_python",
    "pinned",
    "run_tool",
    "unpack",
]

PACKAGES = ("python3", "libstdc++6", "libportaudio2", "libasound2-plugins")  # the wheels bring all other libraries
WHEELS = ("ai-edge-litert", "numpy", "scipy", "sounddevice", "soundfile", "soxr")
PEERS = ("librosa", "onnxruntime")
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def run_tool(command: Sequence[str], what: str, env: Mapping[str, str] | None = None, timeout_s: float = 600.0) -> str:
    """Run a command of this machine; returns its output, or raises :class:`DataError` with its last line."""
    try:
        done = subprocess.run(  # noqa: S603
            list(command), capture_output=True, text=True, check=False, env=env, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{what}: not finished after {timeout_s:g} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no output"]
        raise DataError(f"{what} (exit code {done.returncode}): {lines[-1].strip()}")
    return done.stdout


def pinned(distribution: str) -> str:
    """Return ``name==version`` as installed here, which the guest gets too, so that both run the same kernels."""
    try:
        return f"{distribution}=={importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        raise UsageError(f"{distribution} is not installed here: run  {install_command('bench')}") from None


def fetch_packages(state: Path, architecture: str = "arm64", packages: Sequence[str] = PACKAGES) -> None:
    """Download packages of an architecture and all they depend on, with apt's sources and a private state."""
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()  # of dpkg: nothing is installed
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "Dir::Cache": state,
        "Dir::State": state,
        "Dir::State::status": state / "status",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    hint = f"{architecture} packages cannot be fetched (apt's sources must be Debian's, and the network up)"
    run_tool([*apt, "-oAPT::Update::Error-Mode=any", "update"], hint)
    run_tool([*apt, "-y", "--no-install-recommends", "--download-only", "install", *packages], hint)


def unpack(debs: Sequence[Path], root: Path) -> None:
    """Unpack packages into ``root``, which is replaced when all are whole; their scripts are not run."""
    fresh = root.with_name("root.part")
    for folder in (fresh, root):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir()
    for deb in debs:
        run_tool(["dpkg-deb", "--extract", str(deb), str(fresh)], f"{deb.name} cannot be unpacked")
    fresh.rename(root)


def guest_python(root: Path) -> Path:
    """Return the unpacked interpreter, e.g. ``root/usr/bin/python3.11``."""
    found = sorted((root / "usr" / "bin").glob("python3.*[0-9]"))
    if not found:
        raise DataError(f"{root}: holds no Python; delete {root.parent} and start again")
    return found[-1]


def fetch_wheels(site: Path, version: str, requirements: Sequence[str]) -> None:
    """Install aarch64 wheels for CPython ``version``, e.g. ``3.11``, and all they depend on into ``site``."""
    fresh = site.with_name("site.part")
    for folder in (fresh, site):
        shutil.rmtree(folder, ignore_errors=True)
    tags = ("--python-version", version, "--implementation", "cp", "--only-binary=:all:")
    abis = ("--abi", f"cp{version.replace('.', '')}", "--abi", "abi3", "--abi", "none")
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_tool(
        [*pip, "--target", str(fresh), *tags, *abis, *platforms, *requirements], "aarch64 wheels cannot be fetched"
    )
    fresh.rename(site)
