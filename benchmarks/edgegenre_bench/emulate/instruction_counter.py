"""The QEMU plugin that counts a guest's instructions, and the folder that the guest imports from."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import edgegenre_runtime
from edgegenre_export.package.c_sources import c_folder, c_include, c_sources
from edgegenre_runtime.errors import UsageError

from .arm64_userland import run_tool
from .qemu import check_tools

__all__ = ["LIBRARY", "LIBRARY_FLAGS", "count_regions", "counter_plugin", "cross_compile", "guest_folder"]

_PACKAGE = Path(__file__).parents[1]
_SOURCES = c_folder()
LIBRARY = "edgegenre_runtime/frontend/lib/edgegenre_mel.so"
LIBRARY_FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared", "-fvisibility=default", "-s")
"""As in hatch_build.py, so that the library counted is the one in the aarch64 wheel."""


def counter_plugin(cache: Path) -> Path:
    """Return the QEMU plugin that counts, compiled into ``cache`` by cc and named by the hash of its source."""
    source = _PACKAGE / "c" / "count_instructions.c"
    built = cache / f"count_{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    if not built.exists():
        check_tools("cc")
        command = ["cc", "-O2", "-shared", "-fPIC", str(source), "-o", f"{built}.part"]
        run_tool(command, "the instruction counter cannot be compiled")
        Path(f"{built}.part").replace(built)
    return built


def count_regions(lines: str, n: int) -> list[int]:
    """Return the instructions of the ``n`` regions of :func:`.guest.marks.run_marked`, less those of the empty one.

    Parameters
    ----------
    lines
        What the plugin wrote: a line ``tag count`` for each mark; the last mark of a tag counts.
    """
    marks = [line.split() for line in lines.splitlines()]
    at = {int(tag): int(count) for tag, count in marks if tag != "total"}
    between = [at[2 * i + 1] - at[2 * i] for i in range(n + 1)]
    return [count - between[0] for count in between[1:]]


def cross_compile(out: Path) -> None:
    """Compile the C implementation for aarch64, as the wheel's build does.

    Raises
    ------
    UsageError
        If the cross compiler or the sources are missing (they are in a source checkout alone).
    """
    check_tools("aarch64-linux-gnu-gcc")
    sources = c_sources(_SOURCES)
    if not sources:
        raise UsageError(f"counting instructions needs the C sources in {_SOURCES}: run it in a checkout")
    out.parent.mkdir(parents=True, exist_ok=True)
    command = ["aarch64-linux-gnu-gcc", *LIBRARY_FLAGS, c_include(_SOURCES), *map(str, sources), "-o", str(out)]
    run_tool(command, "the C front-end cannot be compiled for aarch64")


@contextlib.contextmanager
def guest_folder(*, has_library: bool = True) -> Iterator[Path]:
    """Make a folder that the guest imports the runtime and the benches from, with the C front-end for aarch64."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if has_library:
            cross_compile(folder / LIBRARY)
        ignored = shutil.ignore_patterns("lib", "default", "__pycache__", "plans", "profiles", "c")
        for package in (Path(edgegenre_runtime.__file__).parent, _PACKAGE):
            shutil.copytree(package, folder / package.name, ignore=ignored, dirs_exist_ok=True)
        yield folder
