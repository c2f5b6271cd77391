"""Print the section of CHANGELOG.md for a version; exit code 1 where there is none.

python scripts/release_notes.py 0.2.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from script_output import until_closed

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def notes(version: str, text: str) -> str:
    """Return what stands under the heading of a version, empty without it."""
    found = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


if __name__ == "__main__":
    with until_closed():
        if len(sys.argv) != 2:
            sys.exit("usage: python scripts/release_notes.py VERSION")
        section = notes(sys.argv[1], CHANGELOG.read_text("utf-8"))
        if not section:
            sys.exit(f"CHANGELOG.md has no section for {sys.argv[1]}")
        print(section)
