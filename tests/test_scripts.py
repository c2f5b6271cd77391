"""What all scripts have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from script_output import until_closed

SCRIPTS = Path(__file__).parents[1] / "scripts"
PRINTING = sorted(path.name for path in SCRIPTS.glob("*.py") if " print(" in path.read_text("utf-8"))


def run_without_reader(command: list[str]) -> subprocess.CompletedProcess[str]:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    finally:
        os.close(writer)


@pytest.mark.parametrize("name", PRINTING)
def test_scripts_that_print_say_nothing_when_their_reader_leaves(name: str) -> None:
    text = (SCRIPTS / name).read_text("utf-8")
    assert "    with until_closed():\n" in text.split('if __name__ == "__main__":\n')[1]


@pytest.mark.parametrize("flags", [[], ["-u"]])
@pytest.mark.parametrize("arguments", [["release_notes.py", "0.1.0"], ["dependency_licenses.py"], ["results_table.py"]])
def test_a_reader_that_has_read_enough(arguments: list[str], flags: list[str]) -> None:
    script, *rest = arguments
    done = run_without_reader([sys.executable, *flags, str(SCRIPTS / script), *rest])
    assert (done.returncode, done.stderr) == (1, "")


def test_another_pipe_that_breaks_is_said() -> None:
    with pytest.raises(BrokenPipeError, match="the encoder's"), until_closed():
        raise BrokenPipeError(32, "the encoder's")
