"""The C front-end for firmware and the NDK: its sources, the spec's tables and an example, as a bundle carries them."""

from __future__ import annotations

from pathlib import Path

from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.frontend.c_tables import c_header

__all__ = ["c_files", "c_folder", "c_include", "c_sources"]

_COPIED = ("include/*.h", "src/mel/*.[ch]", "examples/*.c", "README.md")
_EXAMPLE = {'"tables_seed3s.h"': '"tables.h"', "seed3s": "bundle", "classify_wav.c": "main.c"}


def c_folder() -> Path:
    """Return the folder of the C sources: in the installed package, or ``runtime/c`` of a checkout."""
    installed = Path(__file__).parents[1] / "c"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "runtime" / "c"


def c_sources(folder: Path) -> list[Path]:
    """Return the files to compile, of a folder such as :func:`c_folder`."""
    return sorted((folder / "src").glob("*/*.c"))


def c_include(folder: Path) -> str:
    """Return the compiler's option that finds the public headers of such a folder."""
    return f"-I{folder / 'include'}"


def c_files(tables: Tables) -> dict[str, bytes]:
    """Return ``c/NAME`` to content: sources, ``tables.h`` of these tables, and ``main.c`` that uses them.

    ``cc -O3 main.c edgegenre_mel*.c -o mel && ./mel < clip.wav > window.bin`` compiles and runs the example.

    Raises
    ------
    ExportError
        If the sources are not there.
    """
    folder = c_folder()
    found = {path.name: path.read_bytes() for pattern in _COPIED for path in folder.glob(pattern)}
    example = found.pop("classify_wav.c", None)
    if example is None or "edgegenre_mel.c" not in found:
        raise ExportError(f"the C front-end is not in {folder}: reinstall edgegenre")
    main = example.decode()
    for old, new in _EXAMPLE.items():
        main = main.replace(old, new)
    kept = {f"c/{name}": content for name, content in found.items() if not name.startswith("tables_")}
    return {**kept, "c/main.c": main.encode(), "c/tables.h": c_header(tables, "bundle").encode()}
