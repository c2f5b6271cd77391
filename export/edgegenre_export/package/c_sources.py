"""C for firmware and the NDK: the front-end's sources, a bundle's tables, an example, and the network as an array."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgegenre_export.micro_facts import MicroFacts
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import BundleError, DataError, ExportError, UsageError
from edgegenre_runtime.frontend import PRESETS, Tables, released
from edgegenre_runtime.frontend.c_tables import c_header
from edgegenre_runtime.network.bundle import Bundle

from .c_array import micro_files

__all__ = [
    "bundle_c_files",
    "c_files",
    "c_folder",
    "c_include",
    "c_sources",
    "check_new_folder",
    "preset_headers",
    "write_folder",
]

_COPIED = ("include/*.h", "src/*/*.[ch]", "examples/*.[ch]", "README.md")
_EXAMPLE = {'"tables_seed3s.h"': '"tables.h"', "seed3s": "bundle", "classify_wav.c": "main.c"}
_INT8 = "model_int8.tflite"
_CMAKE = """\
# add_subdirectory(c) and link edgegenre_mel, edgegenre_net and edgegenre_music.
cmake_minimum_required(VERSION 3.13)
project(edgegenre_mel C)

file(GLOB mel_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/edgegenre_mel*.c")
add_library(edgegenre_mel ${mel_sources})
target_include_directories(edgegenre_mel PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
file(GLOB net_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/edgegenre_net*.c")
add_library(edgegenre_net ${net_sources})
target_include_directories(edgegenre_net PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
add_library(edgegenre_music "${CMAKE_CURRENT_SOURCE_DIR}/edgegenre_music.c")
target_include_directories(edgegenre_music PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
set_target_properties(edgegenre_mel edgegenre_net edgegenre_music PROPERTIES
                      C_STANDARD 99 C_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
"""


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
    found.pop("genre.c", None)  # it needs the engine's network, which not every bundle has
    if example is None or "edgegenre_mel.c" not in found:
        raise ExportError(f"the C front-end is not in {folder}: reinstall edgegenre")
    main = example.decode()
    for old, new in _EXAMPLE.items():
        main = main.replace(old, new)
    generated = {"CMakeLists.txt": _CMAKE, "main.c": main, "tables.h": c_header(tables, "bundle")}
    return {f"c/{name}": content for name, content in found.items()} | {
        f"c/{name}": text.encode() for name, text in generated.items()
    }


def bundle_c_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the C folder of a bundle, file name to content, its int8 network included where TFLite Micro runs it.

    Raises
    ------
    BundleError
        If the bundle's record of TFLite Micro is damaged.
    ExportError
        If the sources are not there.
    """
    files = c_files(bundle.tables)
    facts = bundle.manifest.get("tflite_micro", {})
    if _INT8 in bundle.manifest["files"] and "refused" not in facts and facts:
        try:
            needed = MicroFacts(
                int(facts["arena_bytes"]), tuple(map(str, facts["resolver"])), int(facts["model_bytes"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"bundle {bundle.root}: tflite_micro in its manifest is damaged: export again") from error
        files |= micro_files(bundle.read(_INT8), needed)
    return {name.removeprefix("c/"): content for name, content in files.items()}


def preset_headers() -> dict[str, bytes]:
    """Return ``tables_PRESET.h`` to content, of every released front-end."""
    return {f"tables_{name}.h": c_header(released(name)).encode() for name in PRESETS}


def check_new_folder(out: Path) -> None:
    """Refuse a folder to write into that is a file or not empty; one that is not there yet is fine.

    Raises
    ------
    UsageError
        If there is anything in the folder, or it is a file.
    DataError
        If it cannot be read.
    """
    try:
        is_empty = not any(out.iterdir())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        if os.path.isfile(out):
            raise UsageError(f"{out} is a file: choose another name for the folder") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{out}: cannot write ({reason.lower()})") from error
    if not is_empty:
        raise UsageError(f"{out} is not empty: choose a new folder, nothing in it is overwritten")


def write_folder(out: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write files into a new or empty folder; returns their names, sorted.

    Raises
    ------
    UsageError
        If there is anything in the folder, or it is a file.
    DataError
        If it cannot be written.
    """
    check_new_folder(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot write ({(error.strerror or str(error)).lower()})") from error
    for name, content in files.items():
        with written_beside(out / name) as handle:
            handle.write(content)
    return sorted(files)
