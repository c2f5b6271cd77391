"""Write the tree and the diagrams of docs/architecture.md, made from the code: docstrings and imports.

python scripts/import_diagram.py --write docs/architecture.md
python scripts/import_diagram.py --check docs/architecture.md

An arrow goes from a folder or module to what it imports; arrows that follow from others are left out.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping
from pathlib import Path

import grimp

from edgegenre_bench.results.marked_page import is_stale, write_sections
from script_output import until_closed

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "edgegenre_runtime": ROOT / "runtime" / "edgegenre_runtime",
    "edgegenre": ROOT / "edgegenre",
    "edgegenre_export": ROOT / "export" / "edgegenre_export",
    "edgegenre_bench": ROOT / "benchmarks" / "edgegenre_bench",
}
TITLES = {
    "edgegenre_runtime": "What runs on the device",
    "edgegenre": "The workstation",
    "edgegenre_export": "The export",
    "edgegenre_bench": "The benches",
}


def tree() -> str:
    """Return every folder of the packages with the first line of its docstring."""
    lines = []
    for package in PACKAGES.values():
        lines.append(f"{package.relative_to(ROOT)}/")
        for folder in sorted(path.parent for path in package.rglob("__init__.py") if path.parent != package):
            indent = "    " * len(folder.relative_to(package).parts)
            lines.append(f"{indent + folder.name + '/':<28}{_first_line(folder / '__init__.py')}")
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```"


def _first_line(source: Path) -> str:
    return (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").split("\n")[0]


def diagram(graph: grimp.ImportGraph, package: str) -> str:
    """Return the imports between the folders and modules of a package as a Mermaid flowchart."""
    parts = sorted(graph.find_children(package))
    arrows = {
        part: {other for other in parts if other != part and graph.direct_import_exists(
            importer=part, imported=other, as_packages=True
        )}
        for part in parts
    }  # fmt: skip
    lines = ["```mermaid", "flowchart TD"]
    for part in parts:
        name = part.rpartition(".")[2]
        lines += [f"    {name} --> {other.rpartition('.')[2]}" for other in sorted(reduced(arrows, part))]
    return "\n".join([*lines, "```"])


def reduced(arrows: Mapping[str, set[str]], part: str) -> set[str]:
    """Return what ``part`` imports and nothing else that it imports leads to."""
    return {other for other in arrows[part] if not any(other in _below(arrows, via) for via in arrows[part])}


def _below(arrows: Mapping[str, set[str]], part: str) -> set[str]:
    found: set[str] = set()
    waiting = list(arrows[part])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += arrows[other]
    return found


def sections() -> dict[str, str]:
    """Return the generated parts of the page by the names of their marks."""
    for package in PACKAGES.values():  # not what is installed
        sys.path.insert(0, str(package.parent))
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    diagrams = [f"### {TITLES[package]}: `{package}`\n\n{diagram(graph, package)}" for package in PACKAGES]
    return {"tree": tree(), "diagrams": "\n\n".join(diagrams)}


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description="Write the tree and the diagrams of docs/architecture.md.")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--write", type=Path, help="the page to update between its marks")
    chosen.add_argument("--check", type=Path, help="exit with 1 if this page is stale")
    options = parser.parse_args()
    if options.write:
        write_sections(options.write, sections())
    elif is_stale(options.check, sections()):
        print(f"{options.check}: stale; run  python scripts/import_diagram.py --write {options.check}")
        return 1
    return 0


if __name__ == "__main__":
    with until_closed():
        sys.exit(main())
