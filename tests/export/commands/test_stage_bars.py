"""How the steps of an export are shown."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from edgegenre_export.commands.stage_bars import stage_bars
from edgegenre_export.steps import Step

PROGRAM = """
from edgegenre_export.commands.stage_bars import stage_bars
from edgegenre_export.silence import quiet
from edgegenre_export.steps import Steps
with stage_bars() as progress:
    first, second = Steps("prepare", 1, progress), Steps("convert", 2, progress)
    first.begin("one")
    with quiet():
        print("a converter's noise")
        second.begin("two")
        second.begin("three")
"""


def on_a_terminal(program: str) -> str:
    """What a program writes to standard error, a terminal of 100 columns."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stderr=slave, env=environment) as process:
        os.close(slave)
        parts = []
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            parts.append(part)
            if not part:
                break
        assert process.wait(timeout=60) == 0
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


def test_a_terminal_shows_a_bar_per_stage_while_converters_are_silenced() -> None:
    shown = on_a_terminal(PROGRAM)
    last = [line for line in shown.replace("\r", "\n").split("\n") if line.strip()][-2:]
    assert re.search(r"prepare .*1/1", last[0]), shown
    assert re.search(r"convert .*2/2", last[1]), shown
    assert "noise" not in shown


def test_elsewhere_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with stage_bars() as progress:
        progress(Step("convert", 2, 9, "making model_int8.tflite"))
    assert capsys.readouterr() == ("", "  convert 2/9: making model_int8.tflite …\n")
