"""Build ``edgegenre.wasm`` and ``edgegenre_plain.wasm``, which the web page runs, from ``runtime/c``.

    python scripts/build_wasm.py

Debian 12's clang 14 and wasm-ld (packages clang and lld) make the committed files byte for byte; tests hold them to it.
The linker is called by itself: clang's driver would look for binaryen's wasm-opt.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from script_output import until_closed

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "runtime/edgegenre_runtime/web/page"
MODULES = {"edgegenre.wasm": ["-msimd128"], "edgegenre_plain.wasm": []}
"""File to its compiler's options."""

_COMPILE = ["clang", "--target=wasm32", "-std=c99", "-ffreestanding", "-fno-builtin", "-mbulk-memory", "-Wall"]
_SMALL = ("edgegenre_music.c", "edgegenre_net.c", "edgegenre_web.c", "edgegenre_net_check.c", "edgegenre_mel_tables.c")
"""What runs once a window or once at all, where size counts more than speed."""
_LINK = ["wasm-ld", "--no-entry", "--strip-all", "--gc-sections", "-z", "stack-size=65536"]


def build_module(options: list[str]) -> bytes:
    """Return a module compiled with ``options``."""
    c = ROOT / "runtime/c"
    sources = sorted([*c.glob("src/*/*.c"), *c.glob("wasm/*.c")])
    with tempfile.TemporaryDirectory() as folder:
        objects = [Path(folder) / f"{source.stem}.o" for source in sources]
        for source, made in zip(sources, objects, strict=True):
            include = [f"-I{c / 'include'}", f"-I{c / 'wasm'}"]
            level = "-Os" if source.name in _SMALL else "-O3"
            command = [*_COMPILE, level, *options, *include, "-c", source.relative_to(ROOT), "-o", made]
            subprocess.run(command, check=True, cwd=ROOT)
        module = Path(folder) / "module.wasm"
        subprocess.run([*_LINK, *objects, "-o", module], check=True)
        return module.read_bytes()


if __name__ == "__main__":
    with until_closed():
        for name, options in MODULES.items():
            content = build_module(options)
            (PAGE / name).write_bytes(content)
            print(f"{PAGE / name}: {len(content)} bytes")
