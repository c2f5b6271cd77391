"""Write runtime/c/tables/tables_<preset>.h of every released preset. A test fails when they are stale."""

from pathlib import Path

from edgegenre_runtime.frontend import PRESETS, released
from edgegenre_runtime.frontend.c_tables import c_header

OUT = Path(__file__).parent.parent / "runtime" / "c" / "tables"

if __name__ == "__main__":
    for name in PRESETS:
        (OUT / f"tables_{name}.h").write_text(c_header(released(name)), encoding="utf-8")
