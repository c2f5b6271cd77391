"""docs/sequence.md: its commands, from toy music to an answer by a head on the device, as they stand there."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
PAGE = Path(__file__).parents[1] / "docs" / "sequence.md"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_documented_commands_run(tmp_path):
    first_section = PAGE.read_text("utf-8").split("\n## ")[0]
    commands = [line.strip() for line in first_section.splitlines() if line.startswith("    edgegenre")]
    assert len(commands) == 7
    for command in commands:
        name, *words = shlex.split(command)
        done = subprocess.run(
            [BIN / name, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1500
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "music/disco/disco.00000.wav: " in done.stdout
    assert (tmp_path / "song.state").exists()
    manifest = json.loads((tmp_path / "attention.bundle" / "manifest.json").read_text())
    assert manifest["head"]["config"]["kind"] == "attention"
    assert 0 <= manifest["head"]["training"]["metrics"]["valid"]["track_accuracy"] <= 1
    judged = {verdict["artifact"] for verdict in manifest["gate"]["verdicts"]}
    assert {"head.npz", "head.tflite", "head.onnx"} <= judged
