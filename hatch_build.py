"""Build hook: compile front-end and engine (runtime/c) into the wheel, or in place for an editable install.

$CC, else cc, gcc or clang compiles them; EDGEGENRE_TARGET=aarch64, armv7l or armv6l takes Debian's cross compiler and
makes a wheel for that machine. Without a compiler, or with EDGEGENRE_NO_C=1, the package is installed as pure Python
and NumPy runs front-end and network.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "edgegenre_runtime/frontend/lib/edgegenre_mel.so"
FLAGS = ["-std=c99", "-O3", "-fPIC", "-shared", "-fvisibility=default", "-s"]


# armv7l is a Raspberry Pi 2 or later with a 32-bit system, armv6l a Pi 1 or Zero. The compiler for soft floats is the
# one whose own library runs on ARMv6; no function of ours passes a float, so its calls are a hard-float system's.
CROSS = {
    "aarch64": "aarch64-linux-gnu-gcc",
    "armv7l": "arm-linux-gnueabihf-gcc -march=armv7-a -mfpu=neon-vfpv4",
    "armv6l": "arm-linux-gnueabi-gcc -march=armv6 -marm -mfpu=vfp -mfloat-abi=softfp -nostartfiles",
}


def compiler(target: str | None) -> list[str] | None:
    """Return the command of the C compiler for ``target`` (None: this machine), or None where there is none."""
    if target is not None:
        candidates = [os.environ.get("CC") or CROSS.get(target, f"{target}-linux-gnu-gcc")]
    else:
        candidates = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for candidate in candidates:
        command = shlex.split(candidate)
        if command and shutil.which(command[0]):
            return command
    return None


def compile_library(root: Path, out: Path, target: str | None) -> str | None:
    """Compile the library to ``out``; returns None, or in one line why there is none."""
    command = compiler(target)
    if command is None:
        return "no C compiler was found ($CC, cc, gcc, clang)" if target is None else f"no compiler for {target}"
    folder = root / "runtime" / "c"
    sources = sorted(str(path) for path in (*folder.glob("src/*/*.c"), *folder.glob("python/*.c")))
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_suffix(".part")  # renamed when whole, so that a running process keeps the old one
    done = subprocess.run(
        [*command, *FLAGS, f"-I{folder / 'include'}", *sources, "-o", str(unfinished)],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or not sources:
        return f"{command[0]} failed: {(done.stderr.strip().splitlines() or ['no sources'])[0]}"
    unfinished.replace(out)
    return None


def platform_tag(target: str | None) -> str:
    """Return the wheel's platform, e.g. ``linux_aarch64``."""
    return f"linux_{target}" if target else sysconfig.get_platform().replace("-", "_").replace(".", "_")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled library to a wheel, and tags it with its platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel's files are gathered."""
        if self.target_name != "wheel" or os.environ.get("EDGEGENRE_NO_C"):
            return
        root, target = Path(self.root), os.environ.get("EDGEGENRE_TARGET") or None
        in_place = version == "editable"
        self._folder = Path(tempfile.mkdtemp(prefix="edgegenre_"))
        out = root / "runtime" / LIBRARY if in_place else self._folder / "edgegenre_mel.so"
        reason = compile_library(root, out, target)
        if reason is None and not in_place:
            build_data["force_include"][str(out)] = LIBRARY
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform_tag(target)}"
        elif reason is not None:
            if target is not None:
                raise SystemExit(f"edgegenre for {target}: {reason}")
            self.app.display_warning(f"edgegenre: installed without its C front-end, NumPy does its work: {reason}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled for the wheel."""
        shutil.rmtree(getattr(self, "_folder", ""), ignore_errors=True)


if __name__ == "__main__":  # python hatch_build.py: compile in place, without reinstalling
    here = Path(__file__).parent
    sys.exit(compile_library(here, here / "runtime" / LIBRARY, None))
