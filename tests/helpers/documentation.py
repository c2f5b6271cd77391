"""Commands and code of the documentation, run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "blocks", "pages", "run", "section"]

ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = {"edgegenre": "from edgegenre.cli import main", "edgegenre-run": "from edgegenre_runtime.run import main"}


def pages() -> list[Path]:
    """Return every page that people read: those of the root, of docs/, of examples and of the C code."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md"),
                   *(ROOT / "runtime" / "c").glob("*.md")])  # fmt: skip


def section(page: Path, heading: str) -> str:
    """Return what stands between a heading of the second level and the next."""
    return page.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command: str, folder: Path) -> str:
    """Run a command line of the documentation in a folder; returns what it printed."""
    program, *words = shlex.split(command, comments=True)
    target = words[words.index(">") + 1] if ">" in words else None
    words = words[: words.index(">")] if target else words
    code = f"import sys; sys.argv[0] = {program!r}; {_PROGRAMS[program]}; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    if target:
        (folder / target).write_text(done.stdout)
    return done.stdout
