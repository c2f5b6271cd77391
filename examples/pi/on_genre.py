"""Run a command when the genre in the room changes: a light, a playlist, a relay.

    edgegenre-run --mic --json | python on_genre.py ./light.sh

The command gets the genre and its probability: ``./light.sh jazz 0.83``. A genre counts once it was the answer for ten
seconds; ``silence``, ``noise`` and ``uncertain`` change nothing.
"""

import json
import subprocess
import sys

HOLD_S = 10.0
NOT_GENRES = {"silence", "noise", "uncertain"}


def changes(lines, hold_s=HOLD_S):
    """Yield (genre, probability) each time another genre has been the answer for ``hold_s`` seconds."""
    current = candidate = None
    since_s = 0.0
    for line in lines:
        record = json.loads(line)
        if record["kind"] != "result" or record["label"] in NOT_GENRES:
            continue
        if record["label"] != candidate:
            candidate, since_s = record["label"], record["end_s"]
        if candidate != current and record["end_s"] - since_s >= hold_s:
            current = candidate
            yield current, record["probabilities"][current]


def main(command):
    """Run ``command`` at each change; a command that fails is reported and ends nothing."""
    for genre, probability in changes(sys.stdin):
        done = subprocess.run([*command, genre, f"{probability:.2f}"], check=False)  # noqa: S603  # the user's own
        if done.returncode:
            print(f"{command[0]} {genre}: exit code {done.returncode}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: edgegenre-run --mic --json | python on_genre.py COMMAND …")
    main(sys.argv[1:])
