#!/usr/bin/env python3
"""Write the table of results: every training run with its command, seed, and accuracy on validation and test.

Usage: scripts/results_table.py work/*/best.json > docs/results.md

A run enters with what `edgegenre evaluate RUN DATA --part test --record` wrote into it; a run that was never
evaluated on the test part has a dash there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from edgegenre_runtime.inspect.markdown import markdown_table
from script_output import until_closed

_HEADS = ("run", "network", "seed", "valid", "test", "95 % interval", "weighted F1", "best epoch")


def main(paths: list[str]) -> None:
    """Print a Markdown table of the checkpoints' JSON files, the best on validation first, and their commands."""
    runs = [(Path(path).parent.name, json.loads(Path(path).read_text())) for path in paths]
    runs.sort(key=lambda run: -run[1]["meta"]["valid"]["track_accuracy"])
    rows = []
    for name, document in runs:
        meta = document["meta"]
        test = meta.get("metrics", {}).get("test")
        reported = ("—", "—", "—")
        if test is not None:
            low, high = test["track_accuracy_95"]
            reported = (f"{test['track_accuracy']:.4f}", f"{low:.3f} to {high:.3f}", f"{test['weighted_f1']:.4f}")
        options, valid = meta["options"], meta["valid"]["track_accuracy"]
        network, epochs = document["config"]["name"], f"{meta['best_epoch'] + 1} of {options['epochs']}"
        rows.append((name, network, options["seed"], f"{valid:.4f}", *reported, epochs))
    print(markdown_table(_HEADS, rows))
    print("\nThe commands:\n")
    for name, document in runs:
        print(f"- `{name}`: `{_short(document['meta']['command'])}`")


def _short(command: str) -> str:
    """Leave out the folder in which the commands were run."""
    return command.replace(os.getcwd() + "/", "")


if __name__ == "__main__":
    with until_closed():
        main(sys.argv[1:])
