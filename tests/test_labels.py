"""The commands of docs/labels.md, from toy data to the answer of a device."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from json_records import valid_records

DOCS = Path(__file__).parents[1] / "docs" / "labels.md"
PROGRAMS = {"edgegenre": "from edgegenre.cli import main", "edgegenre-run": "from edgegenre_runtime.run import main"}


def run(command, folder):
    """Run a command line of the documentation in a folder; returns what it printed."""
    program, *words = shlex.split(command)
    code = f"import sys; sys.argv[0] = {program!r}; {PROGRAMS[program]}; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    return done.stdout


def commands(heading):
    """Return the command lines of a section."""
    section = DOCS.read_text("utf-8").split(f"## {heading}\n")[1]
    return re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("heading", ["Several labels", "Hierarchies"])
def test_the_documented_commands_lead_from_toy_music_to_an_answer(tmp_path, heading):
    is_multi = heading == "Several labels"
    toy, train, evaluate, export, answer = commands(heading)
    run(toy, tmp_path)
    assert "thresholds, fitted on validation" in run(train, tmp_path)
    figures = run(evaluate, tmp_path)
    assert ("mean average precision" if is_multi else "hierarchical F1") in figures
    report = json.loads(run(f"{evaluate} --json --report r.html", tmp_path))
    assert report["task"] == ("multi" if is_multi else "hierarchy")
    assert "Precision, recall and F1 of each" in (tmp_path / "r.html").read_text("utf-8")
    assert "gate: model_int8.tflite answers" in run(export, tmp_path)
    bundle = shlex.split(answer)[2]
    manifest = json.loads((tmp_path / bundle / "manifest.json").read_text("utf-8"))
    assert manifest["thresholds"] == report["thresholds"]
    assert manifest["gate"]["status"] == "passed"
    assert "all as exported" in run(f"edgegenre verify {bundle}", tmp_path)
    assert f"task: {report['task']}" in run(f"edgegenre inspect {bundle}", tmp_path)
    assert "| threshold |" in (tmp_path / bundle / "card.md").read_text("utf-8")
    text, (record, *_) = run(answer, tmp_path), valid_records(run(f"{answer} --json", tmp_path).splitlines())
    assert set(record["labels"]) <= set(record["probabilities"])
    if record["labels"]:
        shown = ", " if is_multi else " › "
        assert shown.join(record["labels"] if is_multi else record["label"].split("/")) in text
    int8 = json.loads(run(f"edgegenre evaluate {bundle} {shlex.split(evaluate)[3]} --part test --json", tmp_path))
    main = "mean_average_precision" if is_multi else "hierarchical_f1"
    assert int8[main] == pytest.approx(report[main], abs=0.1)
    node = record["labels"][0] if record["labels"] else next(iter(record["probabilities"]))
    explained = (
        f"edgegenre explain {shlex.split(answer)[-1]} --checkpoint {train.split()[-1]} --genre {node} --out e.png"
    )
    assert f"e.png: {node}, probability" in run(explained, tmp_path)
